"""tail-sampling.yaml: which of csm-otel's traces are kept, and that a command's trace is decided as a whole."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import lossless
import pytest
from datagrams import ABSENT, BASE_MS, attempt, call
from e2e.programs import environment, run
from interop.collector import by_id, spans_in, spans_received
from interop.collector_traffic import of_now, sent_by_serve
from otlp_backend import HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.collector import Collector
    from interop.conftest import StartCollector
    from interop.jaeger import ShownSpan

SETTINGS = {"SLOW_CALL": "500ms", "SHARE_OF_OTHERS": "0", "AFTER_ROOT": "500ms"}
DENIED = {"HttpStatusCode": 403, "AwsException": "AccessDenied", "AwsExceptionMessage": "no"}
FAILED = {"FinalHttpStatusCode": 403, "FinalAwsException": "AccessDenied", "FinalAwsExceptionMessage": "no"}
THROTTLED = {"HttpStatusCode": 400, "AwsException": "ThrottlingException", "AwsExceptionMessage": "Rate exceeded"}
NO_REQUEST = {"AttemptCount": 0, "FinalHttpStatusCode": ABSENT}
PARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
# By API; one call each, and whether it is kept.
CALLS = {
    "Quick": ((attempt(Api="Quick"), call(Api="Quick")), False),
    "Failed": ((attempt(Api="Failed", **DENIED), call(Api="Failed", **FAILED)), True),
    "Throttled": (
        (
            attempt(Api="Throttled", AttemptLatency=5, **THROTTLED),
            attempt(Api="Throttled", AttemptLatency=5, Timestamp=BASE_MS + 12),
            call(Api="Throttled", AttemptCount=2),
        ),
        True,
    ),
    "RetriedUnseen": ((call(Api="RetriedUnseen", AttemptCount=2),), True),
    "Slow": ((attempt(Api="Slow", AttemptLatency=890), call(Api="Slow", Latency=900)), True),
    "NotSent": ((call(Api="NotSent", **NO_REQUEST),), True),
    "AlsoQuick": ((attempt(Api="AlsoQuick", Latency=30), call(Api="AlsoQuick")), False),
}
FAILS_LATE = (CALLS["Quick"][0], "sleep 4", CALLS["Failed"][0])  # later than AFTER_ROOT, to the second as it decides
SENTINEL = (attempt(Api="Sentinel", **DENIED), call(Api="Sentinel", **FAILED))


@pytest.fixture
def backend() -> Iterator[HttpBackend]:
    """Run a back end."""
    with HttpBackend() as running:
        yield running


@pytest.fixture
def sampling(collector: StartCollector, backend: HttpBackend) -> Collector:
    """Run the Collector, without a share of what is ordinary; it decides soon after a root, and hardly ever without."""
    variables = {**SETTINGS, "LONGEST_COMMAND": "1h"}
    return collector("tail-sampling.yaml", BACKEND_OTLP_ENDPOINT=backend.endpoint, **variables)


def test_calls_of_serve(sampling: Collector, backend: HttpBackend, tmp_path: Path) -> None:
    """Calls that failed, were throttled, retried, slow or not sent are kept with their attempts, and no others."""
    datagrams = [datagram for datagrams, _ in CALLS.values() for datagram in datagrams]
    sent = sent_by_serve(tmp_path / "sent.jsonl", sampling.http, *datagrams)
    assert {span.name.split()[0] for span in sent} == {f"S3.{api}" for api in CALLS}
    kept = {f"S3.{api}" for api, (_, is_kept) in CALLS.items() if is_kept}

    received = decided(sampling, backend, tmp_path)
    assert by_id(received) == by_id(span for span in sent if span.name.split()[0] in kept)


def test_a_command_that_fails_late(sampling: Collector, backend: HttpBackend, tmp_path: Path) -> None:
    """A command's trace is kept whole where only its last call failed, long after the first, as its root comes last."""
    sent = sent_by_a_command(tmp_path, sampling, *FAILS_LATE)
    assert len(sent) == 5
    assert by_id(decided(sampling, backend, tmp_path)) == by_id(sent)


def test_a_command_that_joins_a_trace(collector: StartCollector, backend: HttpBackend, tmp_path: Path) -> None:
    """Where the root is another program's, the time that the longest command may take decides."""
    variables = {**SETTINGS, "LONGEST_COMMAND": "10s"}
    sampling = collector("tail-sampling.yaml", BACKEND_OTLP_ENDPOINT=backend.endpoint, **variables)
    sent = sent_by_a_command(tmp_path, sampling, *FAILS_LATE, TRACEPARENT=PARENT)
    assert len(sent) == 5
    wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
    assert by_id(spans_received(backend.accepted)) == by_id(sent)


def test_what_waits_at_sigterm(sampling: Collector, backend: HttpBackend, tmp_path: Path) -> None:
    """It is decided then, with what has come."""
    sent = sent_by_a_command(tmp_path, sampling, CALLS["Quick"][0], "true", CALLS["Failed"][0], TRACEPARENT=PARENT)
    assert len(sent) == 5
    assert [] == decided(sampling, backend, tmp_path)
    sampling.stop()
    received = by_id(spans_received(backend.accepted))
    assert {key: received.get(key) for key in by_id(sent)} == by_id(sent)


def test_a_long_command_of_quick_calls(sampling: Collector, backend: HttpBackend, tmp_path: Path) -> None:
    """A command is not kept for the time that it takes: its calls are quick."""
    sent = sent_by_a_command(tmp_path, sampling, CALLS["Quick"][0], "sleep 1", CALLS["AlsoQuick"][0])
    assert len(sent) == 5
    assert [] == decided(sampling, backend, tmp_path)


def decided(sampling: Collector, backend: HttpBackend, tmp_path: Path) -> list[ShownSpan]:
    """Return what is kept of all that was sent, once traces that were sent after it and are kept have arrived.

    Traces that are decided in the same second may arrive in any order, so another one is sent when the first is there.
    """
    sentinels = {
        *arrived(sampling, backend, tmp_path / "sentinel-1"),
        *arrived(sampling, backend, tmp_path / "sentinel-2"),
    }
    return [span for span in spans_received(backend.accepted) if span.span_id not in sentinels]


def arrived(sampling: Collector, backend: HttpBackend, folder: Path) -> set[str]:
    """Send a trace that is kept, and return the ids of its spans once it has arrived."""
    folder.mkdir()
    sentinel = set(by_id(sent_by_serve(folder / "sentinel.jsonl", sampling.http, *SENTINEL)))
    wait_until(lambda: {span.span_id for span in spans_received(backend.accepted)} >= sentinel)
    return sentinel


def sent_by_a_command(
    folder: Path, sampling: Collector, first: tuple[bytes, ...], between: str, last: tuple[bytes, ...], **variables: str
) -> list[ShownSpan]:
    """Run a shell script under `exec` that sends datagrams, does something else and sends others."""
    for name, datagrams in (("first", first), ("last", last)):
        (folder / name).write_text("".join(f"{datagram.hex()}\n" for datagram in of_now(datagrams)), "ascii")
    sender = f"'{sys.executable}' '{lossless.__file__}'"
    script = f"{sender} '{folder / 'first'}'; {between}; {sender} '{folder / 'last'}'"
    file = folder / "sent.jsonl"
    env = environment(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=sampling.http,
        OTEL_BSP_SCHEDULE_DELAY="50",
        **variables,
    )
    done = run("exec", "--file", file, "--", "sh", "-c", script, env=env)
    assert done.returncode == 0, done.stderr
    return spans_in(file)
