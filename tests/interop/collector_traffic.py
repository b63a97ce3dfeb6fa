"""What csm-otel sends to a Collector: each function returns the spans as csm-otel wrote them to a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.programs import ONE_CALL, environment, run_exec, serving
from faultproxy import FaultProxy
from faultrules import Rule
from interop.collector import spans_in
from lossless import send

if TYPE_CHECKING:
    from pathlib import Path

    from interop.jaeger import ShownSpan

_THROTTLED_TWICE = (Rule(kind="throttle", operation="ListBuckets", times=2),)


def sent_by_a_script(file: Path, endpoint: str, moto_port: int) -> list[ShownSpan]:
    """Run a script with boto3 under `exec`, with one call that is throttled twice."""
    with FaultProxy(moto_port, _THROTTLED_TWICE) as proxy:
        env = environment(proxy.port, OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        done = run_exec(ONE_CALL, "--file", file, env=env)
    assert done.returncode == 0, done.stderr
    sent = spans_in(file)
    assert {span.name for span in sent} == {"python", "S3.ListBuckets", "S3.ListBuckets attempt"}
    assert len(sent) == 5
    return sent


def sent_by_serve(
    file: Path, endpoint: str, *datagrams: bytes, flags: tuple[str, ...] = (), **variables: str
) -> list[ShownSpan]:
    """Send datagrams to `serve`, and wait until it has ended, with nothing dropped."""
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables)
    with serving("--file", file, *flags, env=env) as daemon:
        send(daemon.address, datagrams)
        assert daemon.stop() == 0
    assert b"dropped" not in daemon.rest.replace(b"0 dropped", b""), daemon.rest
    sent = spans_in(file)
    assert sent
    return sent
