"""The exceptions of this package, the faults that one carries, and `quoted`, which shows a bad value.

CsmOtelError
├── MalformedDatagramError     a payload is not a CSM event
├── SettingsError              flags or variables are invalid
├── InputError                 a file that is to be read cannot be
│   ├── RecordingError         ... as it is not a recording, or a line of one is damaged
│   └── ReportInputError       ... as it, or a line of it, has no spans to report on
├── RuleError                  a rule of --fail-on cannot be read
├── BaselineError              a file of --baseline cannot be read
├── SpoolError                 the spool's directory cannot be used
├── ControlError               the control socket cannot be bound, or no daemon answers there
├── ListenError                an address cannot be bound
└── CommandError               the command of `exec` cannot be executed
    └── CommandNotFoundError   ... because it does not exist

The first is the sender's fault and is only counted; of the others the operator reads the text.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


_MAX_QUOTED_CHARS = 40


class CsmOtelError(Exception):
    """Base class of all exceptions raised by this package."""


class MalformedDatagramError(CsmOtelError):
    """Raised when a payload, or an object in it, is not a CSM event.

    ``reason`` is one of a few fixed words, never a part of the payload.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Fault(NamedTuple):
    """What is wrong with one setting."""

    name: str
    """The flag or variable; "" for the command line as a whole."""
    text: str
    """One line, in words for the operator."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.name else self.text


class SettingsError(CsmOtelError):
    """Raised when settings are invalid."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class InputError(CsmOtelError):
    """Raised when a file cannot be read; the text is one line without any part of it."""


class RecordingError(InputError):
    """Raised when a recording, or a line of one, cannot be read."""


class ReportInputError(InputError):
    """Raised when there is nothing to report on in a file, or in a line of it."""


class RuleError(CsmOtelError):
    """Raised when a rule of ``--fail-on`` cannot be read; the text is one line."""


class BaselineError(CsmOtelError):
    """Raised when a baseline cannot be read; the text is one line."""


class SpoolError(CsmOtelError):
    """Raised when the spool's directory cannot be used; the text is a few words for the operator."""


class ControlError(CsmOtelError):
    """Raised when a control socket cannot be bound or does not answer; the text is one line for the operator."""


class ListenError(CsmOtelError):
    """Raised when an address cannot be bound; the text is one line for the operator.

    ``errno`` is that of the failed system call, if any.
    """

    def __init__(self, text: str, *, errno: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno


class CommandError(CsmOtelError):
    """Raised when the command of ``exec`` cannot be executed; the text is one line for the operator."""

    exit_code = 126
    """The exit code of a shell in this case."""


class CommandNotFoundError(CommandError):
    """Raised when the command of ``exec`` does not exist."""

    exit_code = 127


def reason_of(error: BaseException, otherwise: str = "") -> str:
    """Return why a system call failed, in the system's words and in lower case: the end of an operator's line.

    Where the system gives no words: ``otherwise``, or the error's own text, or the name of its type.
    """
    return (getattr(error, "strerror", None) or otherwise or str(error) or type(error).__name__).lower()


@contextmanager
def collecting(faults: list[Fault]) -> Generator[None]:
    """Add the faults of a `SettingsError` to a list, each once, instead of raising it."""
    try:
        yield
    except SettingsError as error:
        faults += [fault for fault in error.faults if fault not in faults]


def quoted(text: str) -> str:
    """Return a value in quotes for an error message: on one line, cut, and not shown at all if it contains ``=``.

    Such a value may be a header with its secret in the wrong variable.
    """
    if "=" in text:
        return "a text with '='"
    return repr(text) if len(text) <= _MAX_QUOTED_CHARS else f"{text[:_MAX_QUOTED_CHARS]!r}..."


def address_text(host: str, port: int) -> str:
    """Return an address as it is written in lines and URLs: ``127.0.0.1:31000``, or ``[::1]:31000``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
