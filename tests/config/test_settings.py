"""Settings: every knob by flag and by variable, and a line for each that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from csm_otel.config.flags import FLAGS_OF, read_command_line
from csm_otel.config.settings import ENV_PREFIX, Settings, read_settings
from csm_otel.csm.times import TimestampMode
from csm_otel.errors import SettingsError
from csm_otel.spans.options import MessageMode, TraceGrouping

pytestmark = pytest.mark.usefixtures("no_variables")


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take our variables out of this process."""
    for name in [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)


class Knob(NamedTuple):
    """One setting: two texts that mean something other than the default, and what they mean."""

    field: str
    first: str
    first_value: object
    second: str
    second_value: object


KNOBS = [
    Knob("host", "127.0.0.2", "127.0.0.2", "::1", "::1"),
    Knob("port", "0", 0, "65535", 65_535),
    Knob("allow_remote", "true", True, "false", False),
    Knob("allow_from", "10.0.0.0/8", "10.0.0.0/8", "192.0.2.1, fd00::/8", "192.0.2.1, fd00::/8"),
    Knob("receive_buffer_bytes", "4096", 4096, "1073741824", 2**30),
    Knob("grace_seconds", "0", 0.0, "1.5", 1.5),
    Knob("attempt_wait_seconds", "1", 1.0, "86400", 86_400.0),
    Knob("pending_events", "1", 1, "5000000", 5_000_000),
    Knob("pending_bytes", "1048576", 2**20, "2097152", 2**21),
    Knob("timestamps", "start", TimestampMode.START, "end", TimestampMode.END),
    Knob("group", "process", TraceGrouping.PROCESS, "call", TraceGrouping.CALL),
    Knob("messages", "none", MessageMode.NONE, "redacted", MessageMode.REDACTED),
    Knob("account_id", "false", False, "true", True),
    Knob("user_agent", "true", True, "false", False),
    Knob("peer_service", "true", True, "false", False),
    Knob("trust_remote_context", "true", True, "false", False),
    Knob("file", "/tmp/a.jsonl", Path("/tmp/a.jsonl"), "b.jsonl", Path("b.jsonl")),
    Knob("record", "-", Path("-"), "kept.ndjson", Path("kept.ndjson")),
    Knob("speed", "0.5", 0.5, "1000000", 1_000_000.0),
    Knob("queue_bytes", "1048576", 2**20, "2097152", 2**21),
    Knob("spool", "/tmp/s", Path("/tmp/s"), "spool", Path("spool")),
    Knob("spool_bytes", "1048576", 2**20, "2097152", 2**21),
    Knob("drain_seconds", "0", 0.0, "2.5", 2.5),
    Knob("control", "none", Path("none"), "/tmp/c.sock", Path("/tmp/c.sock")),
    Knob("timeout", "0", 0.0, "2.5", 2.5),
    Knob("health", "0", 0, "65535", 65_535),
    Knob("report_seconds", "0", 0.0, "2.5", 2.5),
    Knob("name", "nightly", "nightly", "backup", "backup"),
    Knob("quiet", "true", True, "false", False),
    Knob("output", "out.txt", Path("out.txt"), "/tmp/o", Path("/tmp/o")),
    Knob("command_args", "true", True, "false", False),
]
with_each_knob = pytest.mark.parametrize("knob", [pytest.param(knob, id=knob.field) for knob in KNOBS])


def flags_from(knob: Knob, text: str) -> dict[str, object]:
    """Return what the command line makes of a setting's flag."""
    subcommand = next(one for one, flags in FLAGS_OF.items() if knob.field in {flag.field for flag in flags})
    operands = ["kept.ndjson"] if subcommand == "replay" else []
    typed = f"--{knob.field.replace('_', '-')}"
    if isinstance(knob.first_value, bool):
        words = [typed if text == "true" else typed.replace("--", "--no-", 1)]
    else:
        words = [typed, text]
    line = read_command_line([subcommand, *words, *operands])
    assert not [fault for fault in line.faults if typed in fault]
    return line.flags


def test_every_setting_is_in_the_table() -> None:
    """No setting goes without the tests below."""
    assert set(Settings.model_fields) == {knob.field for knob in KNOBS}
    assert len(KNOBS) == len(Settings.model_fields)


@with_each_knob
def test_variable(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting has its variable, and changes nothing else."""
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", knob.first)

    settings = read_settings({})

    assert {**dict(Settings()), knob.field: knob.first_value} == dict(settings)


@with_each_knob
def test_flag(knob: Knob) -> None:
    """Every setting has its flag, and changes nothing else."""
    settings = read_settings(flags_from(knob, knob.first))

    assert {**dict(Settings()), knob.field: knob.first_value} == dict(settings)


@with_each_knob
def test_flag_wins(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both are given the flag holds."""
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", knob.first)

    settings = read_settings(flags_from(knob, knob.second))

    assert knob.second_value == getattr(settings, knob.field)


@with_each_knob
def test_empty_variable_is_unset(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable leaves the default."""
    expected = getattr(Settings(), knob.field)
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", "")

    assert expected == getattr(read_settings({}), knob.field)


def test_defaults() -> None:
    """Without flags and variables the defaults hold: loopback only, nothing exported that could give anybody away."""
    settings = read_settings(read_command_line(["serve"]).flags)

    assert ("", 31000, False) == (settings.host, settings.port, settings.allow_remote)
    assert (MessageMode.REDACTED, TimestampMode.AUTO) == (settings.messages, settings.timestamps)
    assert not settings.user_agent
    assert not settings.command_args
    assert not settings.trust_remote_context


@pytest.mark.parametrize(
    ("field", "text"),
    [
        pytest.param("port", "abc", id="no-number"),
        pytest.param("port", "65536", id="too-large"),
        pytest.param("port", "-1", id="negative"),
        pytest.param("pending_events", "0", id="too-small"),
        pytest.param("pending_events", "1.5", id="not-whole"),
        pytest.param("pending_bytes", "1000", id="too-few-bytes"),
        pytest.param("queue_bytes", "64M", id="a-unit"),
        pytest.param("receive_buffer_bytes", "4095", id="tiny-buffer"),
        pytest.param("grace_seconds", "nan", id="nan"),
        pytest.param("drain_seconds", "inf", id="infinite"),
        pytest.param("attempt_wait_seconds", "0", id="no-wait"),
        pytest.param("timestamps", "middle", id="no-choice"),
        pytest.param("messages", "all", id="no-such-mode"),
        pytest.param("quiet", "perhaps", id="no-boolean"),
    ],
)
def test_fault(field: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be used is one line that begins with the variable's or the flag's name."""
    with pytest.raises(SettingsError) as by_flag:
        read_settings({field: text})
    monkeypatch.setenv(f"CSM_OTEL_{field.upper()}", text)
    with pytest.raises(SettingsError) as by_variable:
        read_settings({})

    (flag_fault,), (variable_fault,) = by_flag.value.faults, by_variable.value.faults
    assert flag_fault.startswith(f"--{field.replace('_', '-')}: {text!r} is n")
    assert variable_fault == f"CSM_OTEL_{field.upper()}: {flag_fault.partition(': ')[2]}"
    assert "\n" not in flag_fault + variable_fault


@pytest.mark.parametrize("field", ["port", "grace_seconds", "queue_bytes", "timestamps", "quiet", "allow_from"])
def test_what_is_not_quoted(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text is cut, and one that may be a header, put into the wrong variable, is not shown."""
    name = f"CSM_OTEL_{field.upper()}"
    for text, shown in (("x" * 5_000, f"'{'x' * 40}'..."), ("authorization=hunter2", "a text with '='")):
        monkeypatch.setenv(name, text)
        with pytest.raises(SettingsError) as caught:
            read_settings({})
        (fault,) = caught.value.faults
        assert fault.startswith(f"{name}: {shown} ")
        assert "hunter2" not in fault
        assert "x" * 41 not in fault


@pytest.mark.parametrize("text", ["10.0.0.1/8", "intranet", "10.0.0.0/8,::/129"])
def test_no_network(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is none is named."""
    monkeypatch.setenv("CSM_OTEL_ALLOW_FROM", text)

    with pytest.raises(SettingsError) as caught:
        read_settings({})

    (fault,) = caught.value.faults
    assert fault.startswith("CSM_OTEL_ALLOW_FROM: ")
    assert text.rpartition(",")[2] in fault
    assert "\n" not in fault


def test_a_line_for_each_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several faults are told at once, each under the name that it was given by."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")
    monkeypatch.setenv("CSM_OTEL_MESSAGES", "all")

    with pytest.raises(SettingsError) as caught:
        read_settings({"grace_seconds": -1.0, "port": None, "subcommand": "serve"})

    assert {"--grace-seconds", "CSM_OTEL_PORT", "CSM_OTEL_MESSAGES"} == {
        fault.partition(":")[0] for fault in caught.value.faults
    }
    assert len(caught.value.faults) == 3


def test_a_flag_hides_its_variables_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that no one reads, because its flag is given, is no fault."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")

    assert read_settings({"port": 1}).port == 1


def test_other_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of our prefix that is no setting is none of our business."""
    monkeypatch.setenv("CSM_OTEL_SOMETHING", "else")

    assert read_settings({}) == Settings()
