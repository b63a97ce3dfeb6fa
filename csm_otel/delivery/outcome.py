"""The outcome of one delivery: one class for each way to go on."""

from __future__ import annotations

from dataclasses import dataclass, field

_LINE_CHARACTERS = 200  # as much as is readable in a log line; back ends send whole pages


@dataclass(frozen=True, slots=True)
class Delivered:
    """The back end has accepted the request."""

    rejected_spans: int = 0
    """How many of its spans it rejected (OTLP partial success)."""
    message: str = ""
    """The back end's reason for that, or a warning; one printable line."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The back end could not be reached, or asks for a retry."""

    reason: str
    """One line for the operator."""
    retry_after_seconds: float | None = None
    """The delay that the back end asks for, if any."""
    may_have_arrived: bool = False
    """Whether the back end may have accepted it nonetheless: no answer is no refusal."""
    is_ours: bool = False
    """Whether it is this process that cannot deliver for now."""
    is_nobody_there: bool = field(default=False, compare=False)
    """Whether the system of its address says that nothing listens there, as ``reason`` has it in words."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The back end will never accept this request."""

    reason: str
    """One line for the operator: what to check."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not sent, for a defect of ours that would recur."""

    reason: str
    """One line for the operator."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The back end would accept it in smaller pieces."""

    reason: str
    """One line for the operator, in case it holds a single span."""


Outcome = Delivered | Unavailable | Refused | Failed | TooLarge


def one_line(text: str) -> str:
    """Return foreign text as one printable line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LINE_CHARACTERS]).split())
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 3] + "..."
