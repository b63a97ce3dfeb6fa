"""What can go wrong, by who has to act.

CsmOtelError
├── MalformedDatagramError   the sender: this payload is no CSM event
├── SettingsError            the operator: a flag or a variable is wrong
├── RecordingError           the operator: this is no recording
├── SpoolError               the operator: what waits cannot be kept on disk
├── ControlError             the operator: no control socket to listen at, or no daemon behind it
├── ListenError              the operator: the address cannot be listened on
└── CommandError             the operator: the command of `exec` cannot be executed
    └── CommandNotFoundError     ... or is not there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class CsmOtelError(Exception):
    """The base of every error that this package raises on purpose."""


class MalformedDatagramError(CsmOtelError):
    """Raised when a payload, or one object in it, is no CSM event.

    ``reason`` is one of few fixed words and never holds any part of the payload.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SettingsError(CsmOtelError):
    """Raised when settings are unusable; ``faults`` has a line for each, with the name of the flag or variable."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class RecordingError(CsmOtelError):
    """Raised when a recording, or a line of one, cannot be read; the text is short and never holds any part of it."""


class SpoolError(CsmOtelError):
    """Raised when the spool's folder cannot be used; the text is a few words for the operator."""


class ControlError(CsmOtelError):
    """Raised when a control socket cannot be had, or nobody answers there; the text is one line for the operator."""


class ListenError(CsmOtelError):
    """Raised when an address cannot be bound; the text is one line for the operator.

    ``errno`` is the system's reason, where there is one.
    """

    def __init__(self, text: str, *, errno: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno


class CommandError(CsmOtelError):
    """Raised when the command of ``exec`` cannot be executed; the text is one line for the operator."""

    exit_code = 126
    """What a shell exits with then."""


class CommandNotFoundError(CommandError):
    """Raised when there is no command of that name."""

    exit_code = 127


def reason_of(error: BaseException, otherwise: str = "") -> str:
    """Return why a system call failed, in the system's words and in lower case: the end of an operator's line.

    Where the system gives no words: ``otherwise``, or the error's own text, or the name of its type.
    """
    return (getattr(error, "strerror", None) or otherwise or str(error) or type(error).__name__).lower()


_LONGEST = 40  # characters; enough to be recognised, and a line stays one


def quoted(text: str) -> str:
    """Return a text in quotes, cut where it is long; one with ``=`` is not shown.

    It may be a header with its secret, put into the wrong variable.
    """
    if "=" in text:
        return "a text with '='"
    return repr(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!r}..."
