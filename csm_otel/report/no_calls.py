"""The line of a run in which no AWS call was seen: `render_no_calls`."""

from __future__ import annotations

from csm_otel.report.terminal import Terminal, counted, duration

_NS_PER_SECOND = 1_000_000_000
_REASON_COLUMNS = 200  # two paths of usual length
_DOCTOR = "csm-otel doctor -- COMMAND"  # not the command itself, as its arguments may hold secrets


def render_no_calls(*, seconds: float, exit_code: int, reason: str = "", calls_elsewhere: int = 0) -> str:
    """Return one line without its end.

    ``reason`` is the likeliest one, in a few words and names of files. ``calls_elsewhere`` were seen by a nested
    csm-otel.
    """
    text = f"no AWS calls seen in {duration(round(seconds * _NS_PER_SECOND))}"
    text += f", exit {exit_code}" if exit_code else ""
    if calls_elsewhere:
        return f"{text}: {counted(calls_elsewhere, 'call')} seen by a nested csm-otel exec instead"
    terminal = Terminal(_REASON_COLUMNS, ascii_only=True)
    reason = terminal.cut(terminal.printable(reason), _REASON_COLUMNS)
    return f"{text}: {reason}; more by {_DOCTOR}" if reason else f"{text}; to find out why: {_DOCTOR}"
