"""`csm-otel env`: its variables, and their lines."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from csm_otel.ci.joining import join
from csm_otel.ci.system import CallingJob
from csm_otel.commands.env import env
from csm_otel.config.early import read_early
from csm_otel.config.settings import Settings
from csm_otel.csm.traceparent import TraceParent
from csm_otel.errors import SettingsError
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Mapping

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT.removesuffix("01") + "00"
TO_DEFAULT = {"AWS_CSM_ENABLED": "true", "AWS_CSM_HOST": "127.0.0.1", "AWS_CSM_PORT": "31000"}
RUN = {"GITHUB_RUN_ID": "14535912359", "GITHUB_RUN_ATTEMPT": "2"}


def place_on_github() -> TraceParent:
    """Return the parent in the trace of the run."""
    trace_id, span_id, _ = join("github", CallingJob(), RUN)
    assert trace_id is not None
    assert span_id is not None
    return TraceParent(trace_id, span_id, sampled=True)


def printed(
    capsys: pytest.CaptureFixture[str], environ: Mapping[str, str] | None = None, /, **changes: object
) -> tuple[str, str]:
    """Return what is printed on stdout, and what is said."""
    said = io.StringIO()
    settings = Settings(**changes)  # type: ignore[arg-type]
    assert env(settings, read_early(changes, environ or {}), environ or {}, Speaker(said)) == 0
    return capsys.readouterr().out, said.getvalue()


@pytest.mark.parametrize(
    ("changes", "environ", "expected"),
    [
        pytest.param({}, {}, {}, id="default"),
        pytest.param({"port": 5}, {}, {"AWS_CSM_PORT": "5"}, id="port"),
        pytest.param({"host": "csm-otel"}, {}, {"AWS_CSM_HOST": "csm-otel"}, id="host"),
        pytest.param({"host": "fe80::1%eth0"}, {}, {"AWS_CSM_HOST": "fe80::1%eth0"}, id="address"),
        pytest.param({"host": "0.0.0.0"}, {}, {}, id="any-address-of-the-daemon"),
        pytest.param({"host": "::"}, {}, {"AWS_CSM_HOST": "::1"}, id="any-address-of-IPv6"),
        pytest.param({"name": "n\xe4ch;tly\n"}, {}, {"AWS_CSM_CLIENT_ID": "nchtly"}, id="name"),
        pytest.param({}, {"OTEL_SERVICE_NAME": "etl"}, {"AWS_CSM_CLIENT_ID": "etl"}, id="service-name"),
        pytest.param({}, {"AWS_CSM_CLIENT_ID": f"etl;{PARENT}"}, {"AWS_CSM_CLIENT_ID": "etl"}, id="inherited-name"),
        pytest.param({}, {"TRACEPARENT": PARENT}, {"AWS_CSM_CLIENT_ID": f";{PARENT}"}, id="context"),
        pytest.param({"name": "etl"}, {"TRACEPARENT": UNSAMPLED}, {"AWS_CSM_CLIENT_ID": f"etl;{UNSAMPLED}"}, id="both"),
        pytest.param(
            {"join": "github"},
            RUN,
            {"AWS_CSM_CLIENT_ID": f";{place_on_github()}"},
            id="ci-run",
        ),
    ],
)
def test_variables(
    changes: dict[str, object],
    environ: dict[str, str],
    expected: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Scripts send to the daemon, with the name and the trace context that are known."""
    text, _ = printed(capsys, environ, **changes, format="github")

    assert dict(line.split("=", 1) for line in text.splitlines()) == TO_DEFAULT | expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"name": "it's $HOME"}, "export AWS_CSM_CLIENT_ID='it'\"'\"'s $HOME'\n", id="sh"),
        pytest.param(
            {"name": "it's \\ $HOME", "format": "fish"}, "set -gx AWS_CSM_CLIENT_ID 'it\\'s \\\\ $HOME'\n", id="fish"
        ),
        pytest.param({"name": "it's $HOME", "format": "github"}, "AWS_CSM_CLIENT_ID=it's $HOME\n", id="github"),
    ],
)
def test_quoting(changes: dict[str, object], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is in a name, it is one value."""
    assert printed(capsys, **changes)[0].endswith(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("sh", "unset AWS_CSM_ENABLED AWS_CSM_HOST AWS_CSM_PORT AWS_CSM_CLIENT_ID\n", id="sh"),
        pytest.param("fish", "set -e AWS_CSM_ENABLED AWS_CSM_HOST AWS_CSM_PORT AWS_CSM_CLIENT_ID\n", id="fish"),
        pytest.param("github", "AWS_CSM_ENABLED=false\n", id="github"),
    ],
)
def test_unset(kind: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The variables are removed, or switch CSM off where they cannot be."""
    assert printed(capsys, format=kind, unset=True) == (text, "")


@pytest.mark.parametrize(
    ("changes", "environ", "line"),
    [
        pytest.param(
            {}, {"TRACEPARENT": "00-secret"}, "TRACEPARENT is not joined: it is not of the form ", id="malformed"
        ),
        pytest.param({"join": "github"}, {}, "--join github: GITHUB_RUN_ID and ", id="no-run"),
        pytest.param({"join": "gitlab"}, {"CI_PIPELINE_ID": "1"}, "--join gitlab: there is no span ", id="no-parent"),
    ],
)
def test_what_cannot_be_joined(
    changes: dict[str, object], environ: dict[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says why, and the variables are those without a context."""
    text, said = printed(capsys, environ, **changes, format="github")

    assert line in said
    assert "secret" not in said
    assert dict(entry.split("=", 1) for entry in text.splitlines()) == TO_DEFAULT


def test_a_host_that_not_every_sdk_can_send_to(capsys: pytest.CaptureFixture[str]) -> None:
    """A line names the SDKs that lose what they send to an address of IPv6; the variables are printed all the same."""
    text, said = printed(capsys, host="::1", format="github")

    assert "AWS_CSM_HOST=::1\n" in text
    assert said == (
        "csm-otel: AWS_CSM_HOST=::1: over IPv6 boto3, JavaScript and PHP send nothing, and with Ruby every call fails\n"
    )
    assert not printed(capsys)[1]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"port": 0}, id="port"),
        pytest.param({"host": "a\nPATH=/tmp"}, id="line-break"),
        pytest.param({"host": "$(reboot)"}, id="no-host"),
    ],
)
def test_what_cannot_be_sent_to(changes: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    """It is a fault, and nothing is printed."""
    with pytest.raises(SettingsError):
        printed(capsys, **changes)
    assert not capsys.readouterr().out
