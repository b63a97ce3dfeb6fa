"""Digests of the results of every recording of real SDKs, to compare two versions of this project.

    python benchmarks/digests.py [RECORDING ...] > before.txt

Without a name it uses all captures and truth recordings of tests/conformance. Each is decoded and written as a
recording of ``--record``, with its times of receipt, and then played by ``csm-otel replay``, with the
default settings and with every optional attribute. A line has the SHA-256 of the recording and of the OTLP JSON of both
replays, which depend on nothing but the recording: the ids come from its seed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance.recordings import EVERYTHING, recording

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.errors import MalformedDatagramError
from csm_otel.files.recording import FORMAT, Heading, RecordedDatagram, encode_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.packed import Recorded

_EVERY_ATTRIBUTE = ["--user-agent", "--peer-service", "--trust-remote-context"]
_EVERY_CONVENTION = {"OTEL_SEMCONV_STABILITY_OPT_IN": "rpc/dup"}


def main() -> None:
    """Print a line for each recording: its name and three digests."""
    names = sys.argv[1:] or EVERYTHING
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            path.write_bytes(b"".join(_lines(recording(name))))
            digests = [_digest(path), _replayed(path, [], {}), _replayed(path, _EVERY_ATTRIBUTE, _EVERY_CONVENTION)]
            print(name, *digests, flush=True)


def _lines(recorded: list[Recorded]) -> Iterable[bytes]:
    yield encode_line(Heading(format=FORMAT, seed=1, host_name="host"))
    # A recording's clock never steps; receipts are in order but for a step of the wall clock.
    began_ns = latest_ns = recorded[0].received_ns
    for datagram in recorded:
        latest_ns = max(latest_ns, datagram.received_ns)
        try:
            decoded = decode(datagram.payload)
        except MalformedDatagramError as error:
            decoded = Decoded([], (error.reason,))
        yield encode_line(
            RecordedDatagram(
                at_ns=latest_ns - began_ns,
                received_ns=datagram.received_ns,
                host=datagram.peer.host,
                port=datagram.peer.port,
                events=tuple(decoded.events),
                rejected=decoded.rejected,
                other_versions=decoded.other_versions,
            )
        )


def _replayed(path: Path, flags: list[str], variables: dict[str, str]) -> str:
    """Replay a recording into a file and return the file's digest."""
    to = path.with_suffix(".json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CSM_OTEL_"))}
    subprocess.run(
        [sys.executable, "-m", "csm_otel", "replay", "--file", to, *flags, path],
        env={**environ, "OTEL_TRACES_EXPORTER": "none", **variables},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    digest = _digest(to)
    to.unlink()
    return digest


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


if __name__ == "__main__":
    main()
