"""The launch of a command: its name, its place in a trace, and its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from csm_otel.commands.launch import Launch, environment_of, inherited_environment, launch_of
from csm_otel.config.early import read_early
from csm_otel.csm.traceparent import TraceParent, split_client_id

PARENT = TraceParent(0xA, 0xB, sampled=True)
UNSAMPLED = TraceParent(0xA, 0xB, sampled=False)


def launched(environ: dict[str, str], *command: str) -> Launch:
    """Return the launch of a command in an environment."""
    return launch_of(command or ("sleep", "1"), environ, read_early({}, environ))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "nightly.py", id="script"),
        pytest.param({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "a", id="resource"),
        pytest.param({"OTEL_SERVICE_NAME": "b", "OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "b", id="service-name"),
        pytest.param({"AWS_CSM_CLIENT_ID": "c", "OTEL_SERVICE_NAME": "b"}, "c", id="client-id"),
        pytest.param({"AWS_CSM_CLIENT_ID": f"c;{PARENT}"}, "c", id="client-id-with-a-trace"),
        pytest.param({"CSM_OTEL_NAME": "d", "AWS_CSM_CLIENT_ID": "c"}, "d", id="ours"),
    ],
)
def test_service_name(environ: dict[str, str], expected: str) -> None:
    """The service name is the one given, else the client id's, else the standard variable's, else the command's."""
    launch = launched(environ, "python3", "/opt/nightly.py")

    assert (launch.service_name, launch.command_name) == (expected, "nightly.py")


@pytest.mark.parametrize(
    ("environ", "parent", "sampled"),
    [
        pytest.param({}, None, True, id="a-trace-of-its-own"),
        pytest.param({"TRACEPARENT": str(PARENT)}, PARENT, True, id="joined"),
        pytest.param({"TRACEPARENT": str(UNSAMPLED)}, UNSAMPLED, False, id="joined-unsampled"),
        pytest.param({"TRACEPARENT": "nonsense"}, None, True, id="malformed"),
        pytest.param({"TRACEPARENT": str(PARENT), "OTEL_PROPAGATORS": "b3"}, None, True, id="not-propagated"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_off"}, None, False, id="not-sampled"),
    ],
)
def test_place_in_the_trace(environ: dict[str, str], parent: TraceParent | None, *, sampled: bool) -> None:
    """The environment's trace is joined; else a new one begins, subject to the sampler."""
    launch = launched({**environ, "TRACESTATE": "a=1"})

    assert (launch.parent, launch.context.sampled) == (parent, sampled)
    assert launch.context.span_id not in (0, PARENT.span_id)
    assert (launch.context.trace_id == PARENT.trace_id) is (parent is not None)
    assert launch.trace_state == ("a=1" if parent else "")


def test_new_ids_differ() -> None:
    """Each launch has its own trace and span."""
    contexts = [launched({}).context for _ in range(20)]

    assert len({context.trace_id for context in contexts} | {context.span_id for context in contexts}) == 40


def test_environment() -> None:
    """The command sends to the port, below its span; other variables are unchanged."""
    environ = {"PATH": "/bin", "AWS_CSM_PORT": "1", "TRACEPARENT": str(PARENT), "TRACESTATE": "a=1", "BAGGAGE": "x=y"}
    launch = launched(environ)
    given = environment_of(environ, launch, port=4242)

    assert {name: given[name] for name in ("PATH", "TRACESTATE", "BAGGAGE")} == {
        "PATH": "/bin",
        "TRACESTATE": "a=1",
        "BAGGAGE": "x=y",
    }
    assert (given["AWS_CSM_ENABLED"], given["AWS_CSM_HOST"], given["AWS_CSM_PORT"]) == ("true", "127.0.0.1", "4242")
    assert given["TRACEPARENT"] == str(launch.context)
    assert split_client_id(given["AWS_CSM_CLIENT_ID"]) == (launch.service_name, launch.context)


def test_the_state_of_another_trace_is_not_passed_on() -> None:
    """If no trace is joined there is no TRACESTATE."""
    environ = {"TRACEPARENT": "nonsense", "TRACESTATE": "a=1"}

    assert "TRACESTATE" not in environment_of(environ, launched(environ), port=1)


def test_without_the_propagator_the_variables_stay() -> None:
    """TRACEPARENT and TRACESTATE are unchanged; calls are nevertheless children of the command's span."""
    environ = {"OTEL_PROPAGATORS": "b3", "TRACEPARENT": str(PARENT), "TRACESTATE": "a=1"}
    launch = launched(environ)
    given = environment_of(environ, launch, port=1)

    assert (given["TRACEPARENT"], given["TRACESTATE"]) == (str(PARENT), "a=1")
    assert given["AWS_CSM_CLIENT_ID"].endswith(str(launch.context))


@pytest.mark.parametrize(
    ("initial", "environ", "expected"),
    [
        pytest.param(b"LANG=C\0", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, {"LANG": "C"}, id="coerced"),
        pytest.param(b"LC_CTYPE=C.UTF-8\0", {"LC_CTYPE": "C.UTF-8"}, {"LC_CTYPE": "C.UTF-8"}, id="given"),
        pytest.param(None, {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, {"LANG": "C"}, id="coerced-without-proc"),
        pytest.param(None, {"LANG": "en", "LC_CTYPE": "C.UTF-8"}, None, id="given-without-proc"),
        pytest.param(None, {"LC_ALL": "C", "LC_CTYPE": "C.UTF-8"}, None, id="overridden-without-proc"),
        pytest.param(None, {"LANG": "C", "LC_CTYPE": "de_DE"}, None, id="another-without-proc"),
    ],
)
def test_inherited_environment(
    initial: bytes | None,
    environ: dict[str, str],
    expected: dict[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command gets LC_CTYPE only if it was set before Python wrote its own."""

    def read_bytes(_path: Path) -> bytes:
        if initial is None:
            raise FileNotFoundError
        return initial

    monkeypatch.setattr("os.environ", environ)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)

    assert inherited_environment() == (environ if expected is None else expected)
