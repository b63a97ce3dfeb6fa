"""Text for the terminal: durations, foreign text, widths."""

from __future__ import annotations

import pytest

from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration, wants_color

MS = 1_000_000


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        pytest.param(0, "0 ms", id="nothing"),
        pytest.param(499_999, "0 ms", id="below half a millisecond"),
        pytest.param(500_000, "1 ms", id="half a millisecond"),
        pytest.param(3 * MS, "3 ms", id="milliseconds"),
        pytest.param(999 * MS + 499_999, "999 ms", id="just below a second"),
        pytest.param(999 * MS + 500_000, "1.00 s", id="rounded up to a second"),
        pytest.param(1250 * MS, "1.25 s", id="seconds"),
        pytest.param(59_994 * MS, "59.99 s", id="just below a minute"),
        pytest.param(59_995 * MS, "1 min 0 s", id="rounded up to a minute"),
        pytest.param(123_400 * MS, "2 min 3 s", id="minutes"),
        pytest.param(3_599_500 * MS, "1 h 0 min", id="rounded up to an hour"),
        pytest.param(3_720_000 * MS, "1 h 2 min", id="hours"),
        pytest.param(-1250 * MS, "-1.25 s", id="negative"),
    ],
)
def test_durations(nanoseconds: int, expected: str) -> None:
    """A duration has the unit that suits its size, and rounding never leaves 1000 ms or 60 s."""
    assert expected == duration(nanoseconds)


@pytest.mark.parametrize(
    ("text", "expected", "expected_ascii"),
    [
        pytest.param("S3.ListBuckets", "S3.ListBuckets", "S3.ListBuckets", id="plain"),
        pytest.param("a\r\nb\t\x0b c\u2028d\xa0e", "a b c d e", "a b c d e", id="blanks of all kinds"),
        pytest.param("\0 a \0 b \u200b", "a b", "a b", id="blanks around what is removed"),
        pytest.param("\x1b[31mred\x07\x9b2J", "[31mred2J", "[31mred2J", id="escape sequences"),
        pytest.param("pay\u202egnp.exe\u200b", "paygnp.exe", "paygnp.exe", id="direction and zero width"),
        pytest.param("e\u0301a\u0300\u0301\u0302", "éà", "??", id="stacked marks"),
        pytest.param("\ud800x", "x", "x", id="lone surrogate"),
        pytest.param("Größe 表", "Größe 表", "Gr??e ?", id="other scripts"),
        pytest.param("a ##[error]b", "a ## [error]b", "a ## [error]b", id="command of a runner"),
        pytest.param("##vso[task.x]", "## vso[task.x]", "## vso[task.x]", id="command of another runner"),
        pytest.param("## a ##b #[", "## a ##b #[", "## a ##b #[", id="no command"),
    ],
)
def test_strangers_words_cannot_act_on_the_terminal(text: str, expected: str, expected_ascii: str) -> None:
    """Control sequences are removed, and an ASCII stream gets ASCII."""
    assert expected == Terminal(80).printable(text)
    assert expected_ascii == Terminal(80, ascii_only=True).printable(text)


@pytest.mark.parametrize(
    ("text", "columns", "expected", "expected_ascii"),
    [
        pytest.param("abcdef", 6, "abcdef", "abcdef", id="fits"),
        pytest.param("abcdef", 5, "abcd…", "ab...", id="cut"),
        pytest.param("ab cdef", 4, "ab…", "a...", id="no blank before the ellipsis"),
        pytest.param("abcdef", 2, "a…", "..", id="hardly any room"),
        pytest.param("abcdef", 0, "", "", id="no room"),
        pytest.param("表表表", 5, "表表…", "表...", id="wide characters"),
        pytest.param("表表表", 4, "表…", "...", id="a wide character does not fit into one column"),
    ],
)
def test_text_is_cut_to_columns(text: str, columns: int, expected: str, expected_ascii: str) -> None:
    """A text is never wider than its columns, and an ellipsis shows that it was truncated."""
    assert expected == Terminal(80).cut(text, columns)
    assert expected_ascii == Terminal(80, ascii_only=True).cut(text, columns)
    assert columns == columns_of(Terminal(80).fit(text, columns))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(("::error::x",), ": :error::x", id="command"),
        pytest.param(("  ", " ::stop-commands::x"), "   : :stop-commands::x", id="indented"),
        pytest.param((":", ":error::x"), ": :error::x", id="in-two"),
        pytest.param(("Seahorse::Client::NetworkingError",), "Seahorse::Client::NetworkingError", id="within"),
        pytest.param(("+3 ms ", "::error::x"), "+3 ms ::error::x", id="behind-text"),
    ],
)
def test_a_line_is_no_command_of_a_runner(texts: tuple[str, ...], expected: str) -> None:
    """What a runner of pipelines takes for a command is broken by a space, and nothing else is."""
    assert expected == Terminal(80).line(*map(Segment, texts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a longer text", ["a longer", "text"], id="letters"),
        pytest.param("表" * 7, ["表" * 4, "表" * 3], id="wide"),
        pytest.param("a " + "表" * 4 + " b", ["a 表表表", "表 b"], id="both"),
    ],
)
def test_a_wrapped_text_is_whole(text: str, expected: list[str]) -> None:
    """No letter is lost, and no line is wider than the terminal."""
    assert list(Terminal(9).wrapped(text)) == expected


def test_a_wrapped_text_is_no_command_of_a_runner() -> None:
    """A text does not begin a line with a command, wherever it is wrapped."""
    assert list(Terminal(20).wrapped("it is a longer text ::error::x")) == ["it is a longer text", ": :error::x"]


def test_color_wraps_the_words_and_not_the_blanks_around_them() -> None:
    """Blanks stay unstyled, and without colour there is no escape sequence."""
    segments = Segment("a ", Style.RED), Segment("  b", Style.PLAIN), Segment("  c  ", Style.DIM)
    assert Terminal(80, color=True).line(*segments) == "\x1b[31ma\x1b[0m   b  \x1b[2mc\x1b[0m"
    assert Terminal(80).line(*segments) == "a   b  c"


def test_a_number_agrees_with_its_noun() -> None:
    """One is singular, everything else plural with separated thousands."""
    assert [counted(number, "call") for number in (0, 1, 1234)] == ["0 calls", "1 call", "1,234 calls"]


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        pytest.param({}, True, False, id="nothing set"),
        pytest.param({"TERM": "xterm-256color", "CLICOLOR": "1"}, True, False, id="a terminal that has colours"),
        pytest.param(dict.fromkeys(("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"), ""), True, False, id="empty"),
        pytest.param({"NO_COLOR": "1"}, False, False, id="no-color"),
        pytest.param({"NO_COLOR": "0"}, False, False, id="any value of NO_COLOR"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, False, False, id="no-color wins"),
        pytest.param({"TERM": "dumb"}, False, False, id="dumb"),
        pytest.param({"TERM": "unknown"}, False, False, id="unknown"),
        pytest.param({"CLICOLOR": "0"}, False, False, id="clicolor off"),
        pytest.param({"FORCE_COLOR": "1", "TERM": "dumb", "CLICOLOR": "0"}, True, True, id="forced"),
        pytest.param({"FORCE_COLOR": "3"}, True, True, id="forced, with a number of colours"),
        pytest.param({"FORCE_COLOR": "0", "CLICOLOR_FORCE": "1"}, False, False, id="forced off"),
        pytest.param({"FORCE_COLOR": "False"}, False, False, id="forced off in a word"),
        pytest.param({"CLICOLOR_FORCE": "1", "TERM": "dumb", "CLICOLOR": "0"}, True, True, id="clicolor forced"),
        pytest.param({"CLICOLOR_FORCE": "0"}, True, False, id="clicolor not forced"),
    ],
)
def test_the_variables_of_colors(environ: dict[str, str], *, on_terminal: bool, elsewhere: bool) -> None:
    """NO_COLOR wins over what forces colours, and that over what is known of the terminal."""
    assert wants_color(environ, is_terminal=True) is on_terminal
    assert wants_color(environ, is_terminal=False) is elsewhere
