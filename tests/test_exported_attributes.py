"""docs/spans.md has every attribute that is exported."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.recordings import recording
from e2e.programs import environment, run, spans_in

from csm_otel.csm.decoding import decode
from csm_otel.files.recording import (
    FORMAT,
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    encode_line,
)
from csm_otel.spans.command import Command

SPANS = Path(__file__).parent.parent / "docs/spans.md"
EVERY_SDK = ("boto3_errors", "cpp_errors", "go_errors", "java_errors", "js_errors", "php_errors", "ruby_redirects_flt")


def replayable(name: str) -> bytes:
    """Return a capture of a real SDK as a recording, with a command at its end."""
    captured = [datagram for datagram in recording(name) if datagram.payload]  # PHP sends empty ones
    began_ns, ended_ns = captured[0].received_ns, max(datagram.received_ns for datagram in captured)
    lines: list[Line] = [Heading(format=FORMAT, seed=1, host_name="host", context=f"00-{1:032x}-{1:016x}-01")]
    for number, datagram in enumerate(captured):
        decoded = decode(datagram.payload)
        lines.append(
            RecordedDatagram(
                at_ns=number, received_ns=datagram.received_ns, host=datagram.peer.host, port=datagram.peer.port,
                events=tuple(decoded.events),
            )
        )  # fmt: skip
    command = Command(
        name="etl.py", executable="python3", pid=7, exit_code=1, start_ns=began_ns, end_ns=ended_ns, arguments=("a",)
    )
    lines.append(RecordedCommand(at_ns=len(captured), command=command))
    return b"".join(map(encode_line, lines))


def test_every_attribute_that_is_exported_is_documented(tmp_path: Path) -> None:
    """What real SDKs send gives no attribute, of a span or a resource, that the page on spans does not have."""
    text = SPANS.read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z0-9_.]+)`", text))
    exported: set[str] = set()
    for name in EVERY_SDK:
        path, file = tmp_path / name, tmp_path / f"{name}.jsonl"
        path.write_bytes(replayable(name))
        env = environment(OTEL_SEMCONV_STABILITY_OPT_IN="rpc/dup", OTEL_TRACES_EXPORTER="none")
        done = run("replay", "--user-agent", "--peer-service", "--file", file, path, env=env)
        assert done.returncode == 0, done.stderr
        for span in spans_in(file):
            exported |= span["attributes"].keys() | span["resource"].keys()
    assert len(exported) > 40
    assert exported <= documented
