"""What csm-otel sends to a Collector: each function returns the spans as csm-otel wrote them to a file of its own."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from datagrams import BASE_MS
from e2e.programs import ONE_CALL, environment, run_exec, serving
from faultproxy import FaultProxy
from faultrules import Rule
from interop.collector import spans_in
from lossless import send

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from interop.jaeger import ShownSpan

_TIMESTAMP = re.compile(rb'("Timestamp":)(\d+)')
_THROTTLED_TWICE = (Rule(kind="throttle", operation="ListBuckets", times=2),)


def of_now(datagrams: Iterable[bytes], *, ago_ms: int = 1000) -> list[bytes]:
    """Return datagrams with a time of so long ago instead of `BASE_MS`.

    That one is out of range, so that csm-otel would take the times of receipt: no longer those of an attempt within its
    call, where the sender was held up between the two.
    """
    began_ms = time.time_ns() // 10**6 - ago_ms
    return [
        _TIMESTAMP.sub(lambda found: b"%s%d" % (found[1], began_ms + int(found[2]) - BASE_MS), datagram)
        for datagram in datagrams
    ]


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
        send(daemon.address, of_now(datagrams))
        assert daemon.stop() == 0
    assert b"dropped" not in daemon.rest.replace(b"0 dropped", b""), daemon.rest
    sent = spans_in(file)
    assert sent
    return sent
