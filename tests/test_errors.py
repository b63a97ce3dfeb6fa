"""The exceptions, and how they quote a bad value."""

from __future__ import annotations

import pytest

from csm_otel import errors
from csm_otel.errors import (
    CommandError,
    CommandNotFoundError,
    CsmOtelError,
    Fault,
    ListenError,
    MalformedDatagramError,
    SettingsError,
    address_text,
    collecting,
    quoted,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "''", id="empty"),
        pytest.param("soon", "'soon'", id="short"),
        pytest.param("x" * 40, f"'{'x' * 40}'", id="just-short"),
        pytest.param("x" * 41, f"'{'x' * 40}'...", id="long"),
        pytest.param("a\nb", r"'a\nb'", id="one-line"),
        pytest.param("api-key=hunter2", "a text with '='", id="header"),
        pytest.param("x" * 5_000 + "=hunter2", "a text with '='", id="long-header"),
    ],
)
def test_quoted(text: str, expected: str) -> None:
    """A value is quoted on one line, cut if long, and hidden if it may be a header."""
    assert quoted(text) == expected


def test_one_base_class() -> None:
    """Every exception of the package can be caught as a `CsmOtelError`."""
    defined = [one for one in vars(errors).values() if isinstance(one, type) and one.__module__ == errors.__name__]

    assert len(defined) > 1
    assert [one for one in defined if issubclass(one, Exception) and not issubclass(one, CsmOtelError)] == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(MalformedDatagramError("not_json"), "not_json", id="malformed"),
        pytest.param(SettingsError([Fault("--port", "'x'"), Fault("", "y")]), "--port: 'x'; y", id="settings"),
        pytest.param(SettingsError([]), "", id="no-settings"),
        pytest.param(ListenError("in use", errno=98), "in use", id="listen"),
        pytest.param(CommandNotFoundError("x: command not found"), "x: command not found", id="command"),
    ],
)
def test_text(error: CsmOtelError, text: str) -> None:
    """The text of an exception is one line for the operator."""
    assert str(error) == text


def test_the_attributes_of_an_error() -> None:
    """Reason, faults and errno are available without parsing the text."""
    assert MalformedDatagramError("empty").reason == "empty"
    assert SettingsError([Fault("a", "b")]).faults == (Fault("a", "b"),)
    assert (ListenError("in use", errno=98).errno, ListenError("no such host").errno) == (98, None)


@pytest.mark.parametrize(("error", "exit_code"), [(CommandError, 126), (CommandNotFoundError, 127)])
def test_exit_codes_of_a_command(error: type[CommandError], exit_code: int) -> None:
    """A command that cannot be executed has the exit code that a shell gives it."""
    assert error.exit_code == exit_code


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1:31000"), ("::1", "[::1]:31000"), ("localhost", "localhost:31000")],
)
def test_address_text(host: str, expected: str) -> None:
    """A host and a port are joined by a colon; an address that has colons itself is in brackets."""
    assert address_text(host, 31000) == expected


@pytest.mark.parametrize("raised", [[], [Fault("--b", "y"), Fault("--c", "z")]])
def test_faults_are_collected(raised: list[Fault]) -> None:
    """The faults of a settings error are added to the list, each once."""
    faults = [Fault("--a", "x")]
    with collecting(faults):
        _fail(SettingsError([*raised, Fault("--a", "x")]))

    assert faults == [Fault("--a", "x"), *raised]


def test_other_errors_are_not_collected() -> None:
    """An error that is not about settings is raised as usual."""
    with pytest.raises(ListenError), collecting([]):
        _fail(ListenError("in use"))


def _fail(error: CsmOtelError) -> None:
    raise error
