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


@pytest.mark.parametrize("text", ["nonsense", f"{PARENT}\n", f"00-{0:032x}-{0xB:016x}-01"])
def test_a_traceparent_that_cannot_be_used(text: str) -> None:
    """It is said in one line, without its text; where it is not read, or empty, nothing is said."""
    (line,) = launched({"TRACEPARENT": text}).troubles

    assert line.startswith("TRACEPARENT is not joined: it")
    assert text not in line
    assert launched({"TRACEPARENT": text, "OTEL_PROPAGATORS": "b3"}).troubles == ()
    assert launched({"TRACEPARENT": ""}).troubles == launched({"TRACEPARENT": str(PARENT)}).troubles == ()


XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
XRAY_PARENT = TraceParent(0x5759E988_BD862E3FE1BE46A994272793, 0x53995C3F42CD8AD8, sampled=True)
OFF = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
ON_GITHUB = {
    "CSM_OTEL_JOIN": "github",
    "CSM_OTEL_CHECK_RUN_ID": "40685651258",
    "CSM_OTEL_STEP_NAME": "Set up job",
    "GITHUB_RUN_ID": "14460881260",
    "GITHUB_RUN_ATTEMPT": "13",
}
# The lower half of the trace id, which the ratio is compared with, is 0.46 of 2**64.
STEP = TraceParent(0x731EC8A47FD7450F753A812A4A8AA5A0, 0xD592338E114EB265, sampled=True)


@pytest.mark.parametrize(
    ("environ", "parent"),
    [
        pytest.param({"OTEL_PROPAGATORS": "xray"}, XRAY_PARENT, id="xray"),
        pytest.param({"OTEL_PROPAGATORS": "xray-lambda"}, XRAY_PARENT, id="xray-of-lambda"),
        pytest.param({}, None, id="not-listed"),
        pytest.param({"OTEL_PROPAGATORS": "tracecontext,xray"}, XRAY_PARENT, id="no-traceparent"),
        pytest.param({"OTEL_PROPAGATORS": "tracecontext,xray", "TRACEPARENT": str(PARENT)}, XRAY_PARENT, id="the-last"),
        pytest.param({"OTEL_PROPAGATORS": "xray,tracecontext", "TRACEPARENT": str(PARENT)}, PARENT, id="the-last-too"),
        pytest.param({"OTEL_PROPAGATORS": "xray,tracecontext", "TRACEPARENT": "x"}, XRAY_PARENT, id="the-last-usable"),
    ],
)
def test_the_trace_of_xray(environ: dict[str, str], parent: TraceParent | None) -> None:
    """Its variable is read where its propagator is listed; of several contexts the last listed one is the parent."""
    launch = launched({"_X_AMZN_TRACE_ID": XRAY.format(1), **environ})

    assert launch.parent == parent
    assert (launch.context.trace_id == XRAY_PARENT.trace_id) is (parent == XRAY_PARENT)


@pytest.mark.parametrize(
    ("decision", "environ", "sampled"),
    [
        pytest.param("1", OFF, True, id="sampled"),
        pytest.param("0", {}, False, id="not-sampled"),
        pytest.param("?", {}, True, id="decided-here"),
        pytest.param("?", OFF, False, id="decided-here-by-the-sampler"),
    ],
)
def test_the_decision_of_xray(decision: str, environ: dict[str, str], *, sampled: bool) -> None:
    """The parent's decision holds; one that is left to us is the sampler's, for the parent as well."""
    launch = launched({"OTEL_PROPAGATORS": "xray", "_X_AMZN_TRACE_ID": XRAY.format(decision), **environ})

    assert launch.parent == XRAY_PARENT._replace(sampled=sampled)
    assert launch.context.sampled is sampled


@pytest.mark.parametrize(
    ("environ", "parent"),
    [
        pytest.param({}, STEP, id="joined"),
        pytest.param({"TRACEPARENT": "nonsense"}, STEP, id="malformed-traceparent"),
        pytest.param({"TRACEPARENT": str(PARENT)}, PARENT, id="traceparent"),
        pytest.param({"OTEL_PROPAGATORS": "xray", "_X_AMZN_TRACE_ID": XRAY.format(1)}, XRAY_PARENT, id="xray"),
        pytest.param({"TRACEPARENT": str(PARENT), "OTEL_PROPAGATORS": "b3"}, STEP, id="traceparent-not-read"),
        pytest.param({"OTEL_PYTHON_ID_GENERATOR": "xray"}, STEP, id="id-generator"),
        pytest.param({"GITHUB_RUN_ID": "", "TRACEPARENT": str(PARENT)}, PARENT, id="not-derived-as-not-needed"),
    ],
)
def test_the_trace_of_a_ci_run(environ: dict[str, str], parent: TraceParent) -> None:
    """It is joined where the environment has no trace context; its state is not that of another trace."""
    launch = launched({**ON_GITHUB, "TRACESTATE": "a=1", **environ})

    assert launch.parent == parent
    assert launch.context.trace_id == parent.trace_id
    assert launch.trace_state == ("a=1" if parent == PARENT else "")
    assert len(launch.troubles) == (environ.get("TRACEPARENT") == "nonsense")


@pytest.mark.parametrize(
    ("sampler", "ratio", "sampled"),
    [
        pytest.param("always_off", "", False, id="off"),
        pytest.param("parentbased_always_off", "", False, id="off-for-roots"),
        pytest.param("traceidratio", "0.45", False, id="ratio-below"),
        pytest.param("traceidratio", "0.46", True, id="ratio-above"),
        pytest.param("parentbased_traceidratio", "0.45", False, id="ratio-of-roots-below"),
        pytest.param("parentbased_traceidratio", "0.46", True, id="ratio-of-roots-above"),
    ],
)
def test_the_decision_about_a_ci_run(sampler: str, ratio: str, *, sampled: bool) -> None:
    """It is the sampler's, for the parent as well, by the trace id, and so the same for all jobs of the run."""
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": ratio}
    launch = launched(ON_GITHUB | {name: value for name, value in variables.items() if value})

    assert launch.parent == STEP._replace(sampled=sampled)
    assert launch.context.sampled is sampled


def test_a_ci_run_that_cannot_be_joined() -> None:
    """The trace is a new one; a line says why."""
    first, second = (launched(ON_GITHUB | {"GITHUB_RUN_ID": ""}) for _ in range(2))

    assert first.parent is None
    assert first.context.trace_id != second.context.trace_id
    assert first.troubles == ("--join github: GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT are not numbers",)


def test_jobs_of_gitlab() -> None:
    """Their commands are roots of one trace, by the sampler's decision."""
    environ = {"CSM_OTEL_JOIN": "gitlab", "CI_SERVER_HOST": "gitlab.com", "CI_PIPELINE_ID": "1"}
    first, second = launched(environ), launched(environ | OFF)

    assert first.context.trace_id == second.context.trace_id
    assert first.context.span_id != second.context.span_id
    assert (first.parent, second.parent) == (None, None)
    assert (first.context.sampled, second.context.sampled) == (True, False)


def test_the_tracing_header_is_passed_on() -> None:
    """The command is below its own span, in the form of each propagator, with the fields that belong to AWS."""
    environ = {
        "OTEL_PROPAGATORS": "tracecontext,xray",
        "_X_AMZN_TRACE_ID": f"{XRAY.format(1)};Lineage=25:a87bd80c:1",
        "TRACEPARENT": str(PARENT),
        "TRACESTATE": "a=1",
    }
    launch = launched(environ)
    given = environment_of(environ, launch, port=1)
    span = f"{launch.context.span_id:016x}"

    assert given["_X_AMZN_TRACE_ID"] == (
        f"Root=1-5759e988-bd862e3fe1be46a994272793;Parent={span};Sampled=1;Lineage=25:a87bd80c:1"
    )
    assert given["TRACEPARENT"] == str(launch.context)
    assert "TRACESTATE" not in given  # of the trace that is not joined


def test_one_exec_in_another_joins_it_by_either_form() -> None:
    """Both variables name the same span, whose state is kept."""
    environ = {"OTEL_PROPAGATORS": "tracecontext,xray", "TRACEPARENT": str(PARENT), "TRACESTATE": "a=1"}
    outer = launched(environ)
    inner_environ = environment_of(environ, outer, port=1)
    inner = launched(inner_environ)

    assert (inner.parent, inner.trace_state) == (outer.context, "a=1")
    assert environment_of(inner_environ, inner, port=1)["TRACESTATE"] == "a=1"


def test_without_the_propagator_the_tracing_header_stays() -> None:
    """It is not read and not changed, and nothing is said about it."""
    for text in ("nonsense", XRAY.format(1)):
        environ = {"_X_AMZN_TRACE_ID": text}
        launch = launched(environ)

        assert environment_of(environ, launch, port=1)["_X_AMZN_TRACE_ID"] == text
        assert launch.troubles == ()


def test_a_tracing_header_that_cannot_be_used() -> None:
    """It is said in one line, without its text, and the command gets one of its own trace."""
    environ = {"OTEL_PROPAGATORS": "xray", "_X_AMZN_TRACE_ID": "Root=hunter2;Lineage=x"}
    launch = launched(environ)
    given = environment_of(environ, launch, port=1)["_X_AMZN_TRACE_ID"]

    assert launch.parent is None
    assert launch.troubles == ("_X_AMZN_TRACE_ID is not joined: it is not of the form Root=1-...;Parent=...;Sampled=1",)
    assert given.endswith(f";Parent={launch.context.span_id:016x};Sampled=1")


@pytest.mark.parametrize(("variables", "second"), [({"OTEL_PYTHON_ID_GENERATOR": "xray"}, 0x5759E988), ({}, None)])
def test_xray_ids_begin_with_the_time(variables: dict[str, str], second: int | None) -> None:
    """A new trace has the second of its start in its id on request; a trace that is joined has its own."""
    early = read_early({}, variables)
    launches = [launch_of(["x"], variables, early, clock_ns=lambda: 0x5759E988 * 10**9 + 5) for _ in range(9)]

    assert ({launch.context.trace_id >> 96 for launch in launches} == {second}) is (second is not None)
    assert len({launch.context.trace_id for launch in launches}) == 9
    assert launched({**variables, "TRACEPARENT": str(PARENT)}).context.trace_id == PARENT.trace_id


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
