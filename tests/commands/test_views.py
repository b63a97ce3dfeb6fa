"""What is printed and written of a run. Whole runs are in tests/e2e/test_exec.py."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Literal

import pytest
from traced import command, traced

from csm_otel.commands.views import Views
from csm_otel.config.settings import Settings
from csm_otel.report import screen
from csm_otel.verdict.judgement import Judgement

if TYPE_CHECKING:
    from pathlib import Path


class _Stream(io.StringIO):
    """A terminal or a file, with an encoding."""

    def __init__(self, encoding: str, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._is_terminal = is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


def views_of(calls: int, settings: Settings) -> Views:
    """Return the views of a command with so many calls."""
    views = Views(settings)
    for number in range(calls):
        views.summarise([traced("S3.GetObject", number, number + 1)])
    views.summarise([command()])
    return views


@pytest.mark.parametrize(
    ("stream", "variable", "expected"),
    [
        pytest.param(_Stream("utf-8"), "", "100 False False", id="file"),
        pytest.param(_Stream("ANSI_X3.4-1968"), "", "100 False True", id="ascii"),
        pytest.param(_Stream("UTF-8", is_terminal=True), "", "77 True False", id="terminal"),
        pytest.param(_Stream("UTF-8", is_terminal=True), "NO_COLOR", "77 False False", id="no-color"),
        pytest.param(_Stream("UTF-8"), "FORCE_COLOR", "100 True False", id="force-color"),
    ],
)
def test_run(stream: _Stream, variable: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the terminal's width and colours, and characters that the stream can show."""

    def render(*_: object, width: int, color: bool, ascii_only: bool, **_options: object) -> str:
        return f"{width} {color} {ascii_only}"

    monkeypatch.setattr(screen, "render_run", render)
    monkeypatch.setenv("COLUMNS", "77")
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"):
        monkeypatch.setenv(name, "1" if name == variable else "")

    assert Views(Settings()).render(stream) == expected


@pytest.mark.parametrize(("calls", "is_long"), [(40, False), (41, True)])
def test_long_run(calls: int, monkeypatch: pytest.MonkeyPatch, *, is_long: bool) -> None:
    """A run of more than 40 calls is printed with an overview."""
    monkeypatch.setattr(screen, "render_run", lambda _, summary, **_options: str(summary is not None))

    assert views_of(calls, Settings()).render(_Stream("utf-8")) == str(is_long)


@pytest.mark.parametrize("calls", [1, 100])
def test_files(calls: int, tmp_path: Path) -> None:
    """The files that are asked for are about all spans, of a short run too."""
    settings = Settings(summary_json=tmp_path / "summary.json", report=tmp_path / "report.html")
    said: list[str] = []
    views_of(calls, settings).write_files(None, say=said.append)

    found = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert (found["totals"]["calls"], found["run"]["name"], said) == (calls, "legacy.py", [])
    assert (tmp_path / "report.html").read_text("utf-8").count('<th scope="row">S3.GetObject</th>') >= calls


def test_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one that is asked for, nothing is written."""
    monkeypatch.chdir(tmp_path)
    views_of(1, Settings()).write_files(None, say=print)

    assert not list(tmp_path.iterdir())


def test_options_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is as the settings say."""
    given: dict[str, object] = {}

    def render(*_: object, **options: object) -> str:
        given.update(options)
        return ""

    monkeypatch.setattr(screen, "render_run", render)
    Views(Settings(waterfall=False, all=True, only_failed=True, sort="calls")).render(_Stream("utf-8"))

    assert {name: given[name] for name in ("waterfall", "everything", "only_failed", "sort")} == {
        "waterfall": False,
        "everything": True,
        "only_failed": True,
        "sort": "calls",
    }


@pytest.mark.parametrize(
    ("stream", "no_color", "expected"),
    [
        pytest.param(_Stream("utf-8"), "", False, id="regular"),
        pytest.param(_Stream("utf-8", is_terminal=True), "", True, id="terminal"),
        pytest.param(_Stream("utf-8", is_terminal=True), "1", False, id="no-color"),
    ],
)
def test_forced_colors_in_a_file(
    stream: _Stream, no_color: str, monkeypatch: pytest.MonkeyPatch, *, expected: bool
) -> None:
    """The file of --output has colours only if it is a terminal."""
    monkeypatch.setattr(screen, "render_run", lambda *_, color, **_options: str(color))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", no_color)

    assert Views(Settings()).render(stream, is_file=True) == str(expected)


@pytest.mark.parametrize("calls", [1, 100])
@pytest.mark.parametrize(
    ("error", "setting", "judgement", "lines"),
    [
        pytest.param("", "github", None, 0, id="went-well"),
        pytest.param("E", "github", None, 1, id="failed"),
        pytest.param("E", "none", None, 0, id="switched-off"),
        pytest.param("", "github", Judgement(rules=[], broken=[], baseline_failure="x"), 1, id="judged"),
    ],
)
def test_annotations(
    calls: int, error: str, setting: Literal["github", "none"], judgement: Judgement | None, lines: int
) -> None:
    """A line for each finding, of a short run as of a long one; none of one that went well."""
    views = views_of(calls, Settings(annotations=setting))
    views.summarise([traced("S3.PutObject", 1_000, 1_005, error=error)])

    assert views.annotations(judgement).count("\n") == lines
