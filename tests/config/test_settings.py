"""The declared settings, each by flag and by variable, and a fault for each unusable value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from csm_otel.config.environment import read_settings
from csm_otel.config.flags import FLAGS_OF, read_command_line
from csm_otel.config.setting import Address, OneOf
from csm_otel.config.settings import COMMANDS, GROUPS, PREFIX, SETTINGS, Settings
from csm_otel.csm.times import TimestampMode
from csm_otel.errors import Fault
from csm_otel.spans.options import MessageMode, TraceGrouping

if TYPE_CHECKING:
    from enum import StrEnum

    from csm_otel.config.setting import Setting

pytestmark = pytest.mark.usefixtures("no_variables")


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove our variables from this process."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)


class Knob(NamedTuple):
    """One setting: two texts with values other than the default, and these values."""

    field: str
    first: str
    first_value: Any
    second: str
    second_value: Any


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
    Knob("timestamps", "start", "start", "end", "end"),
    Knob("group", "process", "process", "call", "call"),
    Knob("messages", "none", "none", "redacted", "redacted"),
    Knob("account_id", "false", False, "true", True),
    Knob("user_agent", "true", True, "false", False),
    Knob("peer_service", "true", True, "false", False),
    Knob("format", "fish", "fish", "github", "github"),
    Knob("unset", "true", True, "false", False),
    Knob("pipeline", "false", False, "true", True),
    Knob("join", "github", "github", "gitlab", "gitlab"),
    Knob("check_run_id", "40685651258", "40685651258", "1", "1"),
    Knob("job_name", "build", "build", "test (3.11)", "test (3.11)"),
    Knob("step_name", "back up", "back up", "x", "x"),
    Knob("trust_remote_context", "true", True, "false", False),
    Knob("file", "/tmp/a.jsonl", Path("/tmp/a.jsonl"), "b.jsonl", Path("b.jsonl")),
    Knob("record", "-", Path("-"), "kept.ndjson", Path("kept.ndjson")),
    Knob("tee", "31001", Address("127.0.0.1", 31_001), "[::1]:31002", Address("::1", 31_002)),
    Knob("speed", "0.5", 0.5, "1000000", 1_000_000.0),
    Knob("queue_bytes", "1048576", 2**20, "2097152", 2**21),
    Knob("spool", "/tmp/s", Path("/tmp/s"), "spool", Path("spool")),
    Knob("spool_bytes", "1048576", 2**20, "2097152", 2**21),
    Knob("encoder", "official", "official", "fast", "fast"),
    Knob("drain_seconds", "0", 0.0, "2.5", 2.5),
    Knob("control", "none", Path("none"), "/tmp/c.sock", Path("/tmp/c.sock")),
    Knob("timeout", "0", 0.0, "2.5", 2.5),
    Knob("canary", "true", True, "false", False),
    Knob("json", "true", True, "false", False),
    Knob("check", "ready", "ready", "live", "live"),
    Knob("health", "0", Address("127.0.0.1", 0), "[::1]:65535", Address("::1", 65_535)),
    Knob("flush_over_health", "true", True, "false", False),
    Knob("to", "1", Address("127.0.0.1", 1), "host.test:65535", Address("host.test", 65_535)),
    Knob("report_seconds", "0", 0.0, "2.5", 2.5),
    Knob("name", "nightly", "nightly", "backup", "backup"),
    Knob("quiet", "true", True, "false", False),
    Knob("output", "out.txt", Path("out.txt"), "/tmp/o", Path("/tmp/o")),
    Knob("waterfall", "false", False, "true", True),
    Knob("live", "true", True, "false", False),
    Knob("all", "true", True, "false", False),
    Knob("only_failed", "true", True, "false", False),
    Knob("sort", "calls", "calls", "name", "name"),
    Knob("summary_json", "s.json", Path("s.json"), "/tmp/s.json", Path("/tmp/s.json")),
    Knob("fail_on", "error", "error", "throttle, calls>5", "throttle, calls>5"),
    Knob("baseline", "b.toml", Path("b.toml"), "/tmp/b.toml", Path("/tmp/b.toml")),
    Knob("update_baseline", "true", True, "false", False),
    Knob("markdown", "s.md", Path("s.md"), "/tmp/s.md", Path("/tmp/s.md")),
    Knob("step_summary", "true", True, "false", False),
    Knob("junit", "j.xml", Path("j.xml"), "/tmp/j.xml", Path("/tmp/j.xml")),
    Knob("gitlab_annotations", "g.json", Path("g.json"), "/tmp/g.json", Path("/tmp/g.json")),
    Knob("annotations", "none", "none", "github", "github"),
    Knob("trace_url", "http://a/{trace_id}", "http://a/{trace_id}", "https://b/?{trace_id}", "https://b/?{trace_id}"),
    Knob("compare", "o.json", Path("o.json"), "/tmp/o.json", Path("/tmp/o.json")),
    Knob("chrome_trace", "t.json", Path("t.json"), "/tmp/t.json", Path("/tmp/t.json")),
    Knob("policy", "p.json", Path("p.json"), "/tmp/p.json", Path("/tmp/p.json")),
    Knob("report", "r.html", Path("r.html"), "/tmp/r.html", Path("/tmp/r.html")),
    Knob("command_args", "true", True, "false", False),
]
with_each_knob = pytest.mark.parametrize("knob", [pytest.param(knob, id=knob.field) for knob in KNOBS])


def flags_from(knob: Knob, text: str) -> dict[str, object]:
    """Return the flags of a command line with a setting's flag in it."""
    subcommand = next(one for one, flags in FLAGS_OF.items() if knob.field in {flag.field for flag in flags})
    operands = ["kept.ndjson"] if subcommand in {"replay", "report"} else []
    typed = f"--{knob.field.replace('_', '-')}"
    if isinstance(knob.first_value, bool):
        words = [typed if text == "true" else typed.replace("--", "--no-", 1)]
    else:
        words = [typed, text]
    line = read_command_line([subcommand, *words, *operands])
    assert not [fault for fault in line.faults if fault.name == typed]
    return line.flags


def test_every_setting_is_in_the_table() -> None:
    """Every setting is covered by the tests below."""
    assert set(Settings._fields) == {knob.field for knob in KNOBS}
    assert len(KNOBS) == len(Settings._fields)


def changed(knob: Knob) -> Settings:
    """Return the defaults with one setting changed."""
    changes: dict[str, Any] = {knob.field: knob.first_value}
    return Settings(**changes)


def usable(flags: dict[str, object]) -> Settings:
    """Return the settings, all of which are usable."""
    settings, faults = read_settings(flags)
    assert not faults
    return settings


@with_each_knob
def test_variable(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting has its variable, and changes nothing else."""
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", knob.first)

    assert usable({}) == changed(knob)


@with_each_knob
def test_flag(knob: Knob) -> None:
    """Every setting has its flag, and changes nothing else."""
    assert usable(flags_from(knob, knob.first)) == changed(knob)


@with_each_knob
def test_flag_wins(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """If both are given the flag wins."""
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", knob.first)

    assert getattr(usable(flags_from(knob, knob.second)), knob.field) == knob.second_value


@with_each_knob
def test_empty_variable_is_unset(knob: Knob, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable leaves the default."""
    monkeypatch.setenv(f"CSM_OTEL_{knob.field.upper()}", "")

    assert usable({}) == Settings()


def test_defaults() -> None:
    """Without flags and variables the defaults apply: loopback only, and no export of possible secrets."""
    settings = usable(read_command_line(["serve"]).flags)

    assert (settings.host, settings.port, settings.allow_remote) == ("", 31000, False)
    assert (settings.messages, settings.timestamps) == ("redacted", "auto")
    assert not settings.user_agent
    assert not settings.command_args
    assert not settings.trust_remote_context


@pytest.mark.parametrize(
    ("field", "choices"),
    [("timestamps", TimestampMode), ("messages", MessageMode), ("group", TraceGrouping)],
)
def test_choices(field: str, choices: type[StrEnum]) -> None:
    """The choices are the implemented values."""
    reader = SETTINGS[field].reader

    assert isinstance(reader, OneOf)
    assert reader.words == tuple(choices)


@pytest.mark.parametrize("setting", [pytest.param(one, id=one.field) for one in SETTINGS.values()])
def test_each_is_an_option(setting: Setting) -> None:
    """Each setting has a line of help, a known group and known commands."""
    option = setting.option

    assert option is not None
    assert option.help
    assert not option.help.endswith(".")
    assert option.group in GROUPS
    assert option.commands
    assert set(option.commands) <= set(COMMANDS)


def test_shutdown_has_a_default_for_each_command() -> None:
    """Docker kills after 10 s, after exec a user waits, and a replay is rarely waited for."""
    assert {command: SETTINGS["drain_seconds"].default_of(command) for command in COMMANDS} == {
        "serve": 8.0,
        "exec": 5.0,
        "env": None,
        "replay": 30.0,
        "report": None,
        "flush": None,
        "health": None,
        "doctor": None,
    }


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
    """An unusable value is a fault under the name of the variable or the flag, and leaves the default."""
    _, (by_flag,) = read_settings({field: text})
    monkeypatch.setenv(f"CSM_OTEL_{field.upper()}", text)
    settings, (by_variable,) = read_settings({})

    assert by_flag.name == f"--{field.replace('_', '-')}"
    assert by_flag.text.startswith(f"{text!r} is n")
    assert by_variable == Fault(f"CSM_OTEL_{field.upper()}", by_flag.text)
    assert settings == Settings()


@pytest.mark.parametrize("field", ["port", "grace_seconds", "queue_bytes", "timestamps", "quiet", "allow_from"])
def test_what_is_not_quoted(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text is cut, and a possible header, put into the wrong variable, is not shown."""
    name = f"CSM_OTEL_{field.upper()}"
    for text, shown in (("x" * 5_000, f"'{'x' * 40}'..."), ("authorization=hunter2", "a text with '='")):
        monkeypatch.setenv(name, text)
        _, (fault,) = read_settings({})
        assert str(fault).startswith(f"{name}: {shown} ")
        assert "hunter2" not in fault.text
        assert "x" * 41 not in fault.text


@pytest.mark.parametrize("text", ["10.0.0.1/8", "intranet", "10.0.0.0/8,::/129"])
def test_an_invalid_network(text: str) -> None:
    """An invalid network is named."""
    _, (fault,) = read_settings({"allow_from": text})

    assert fault.name == "--allow-from"
    assert text.rpartition(",")[2] in fault.text
    assert "\n" not in fault.text


def test_all_faults_are_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several faults are found in one reading, each under its flag or variable; usable values apply."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")
    monkeypatch.setenv("CSM_OTEL_MESSAGES", "all")
    monkeypatch.setenv("CSM_OTEL_HOST", "::1")

    settings, faults = read_settings({"grace_seconds": "-1", "port": None, "subcommand": "serve"})

    assert [fault.name for fault in faults] == ["CSM_OTEL_PORT", "CSM_OTEL_MESSAGES", "--grace-seconds"]
    assert settings == Settings(host="::1")


def test_a_flag_hides_its_variables_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is overridden by its flag is no fault."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")

    assert usable({"port": 1}).port == 1


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with our prefix that is not a setting has no effect."""
    monkeypatch.setenv("CSM_OTEL_SOMETHING", "else")

    assert usable({}) == Settings()
