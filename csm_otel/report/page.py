"""A summary and its calls to a page of HTML in one file, which makes no requests: `render_page`.

All that it says is in its markup, as CI servers show pages with neither scripts nor styles. Texts come from senders:
each is made printable and escaped where it is inserted.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup
from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_REGION
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.report.overview import EFFECTS, most_serious_first
from csm_otel.report.rows import offset_of
from csm_otel.report.terminal import Terminal, duration
from csm_otel.summary.trace import http_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jinja2.runtime import Context

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.model import Summary, Uncertainty
    from csm_otel.summary.trace import Call

_MAX_ROWS = 5_000  # about 1 MB, which browsers lay out at once
_MAX_ATTEMPTS = 20  # drawn of one call; the SDKs' own limits are 3 to 11
_MAX_ERROR_COLUMNS = 60
_NS_PER_US = 1_000
_NS_PER_MS = 1_000_000
_TERMINAL = Terminal(1, color=False)


class _Row(NamedTuple):
    """A row of the table of calls."""

    start: str
    start_us: int
    name: str
    length: str
    length_us: int
    attempts: int
    result: str
    is_error: bool
    message: str


class _Texts:
    """Distinct texts of senders, made printable."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}

    def index_of(self, text: str) -> int:
        """Return the position of a text in the list."""
        return self._indices.setdefault(_TERMINAL.printable(text), len(self._indices))

    def listed(self) -> list[str]:
        """Return the texts, in order of their positions."""
        return list(self._indices)


def render_page(summary: Summary, calls: Sequence[Call]) -> str:
    """Return the page; ``calls`` are listed in order of start, as far as they were kept.

    With more than 5,000 calls, those that failed precede the others in the choice of what is listed.
    """
    environment = _environment()
    style, script = _source("page.css"), _source("page.js")
    start_ns = summary.run.start_ns
    listed = _listed(calls)
    return environment.get_template("page.html").render(
        style=Markup(style),  # ruff: ignore[unsafe-markup-use] our own file
        script=Markup(script),  # ruff: ignore[unsafe-markup-use] our own file
        policy=_policy(style=style, script=script),
        run=summary.run,
        totals=summary.totals,
        times=summary.times,
        failures=most_serious_first(summary.failures),
        effects=EFFECTS,
        operations=summary.operations,
        patterns=summary.patterns,
        actions=summary.actions,
        uncertain=list(_uncertain(summary.uncertainty)),
        data=_data(calls, start_ns),
        rows=[_row(call, start_ns) for call in listed],
        left_out=max(summary.totals.calls + summary.uncertainty.orphans - len(listed), 0),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("csm_otel", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["ms"] = lambda milliseconds: duration(milliseconds * _NS_PER_MS)
    environment.filters["number"] = "{:,}".format
    environment.filters["listed"] = _joined
    environment.filters["offset"] = _offset
    environment.filters["result"] = lambda group: _status_and_error(group.status, group.error)
    return environment


def _source(name: str) -> str:
    """Return the text of a file beside this module."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


@pass_context
def _offset(context: Context, at_ns: int) -> str:
    return offset_of(at_ns, context["run"].start_ns)


def _policy(**allowed: str) -> str:
    """Return the page's Content Security Policy: its own style and script, and nothing else."""
    sources = (
        f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for kind, text in allowed.items()
    )
    return "; ".join(("default-src 'none'", *sources, "base-uri 'none'", "form-action 'none'"))


def _data(calls: Sequence[Call], start_ns: int) -> Markup:
    """Return the calls as JSON for the script, which describes them; texts are in lists, as most occur often."""
    names, results, messages, regions = (_Texts() for _ in range(4))

    def times(span: SpanData) -> tuple[int, int]:
        return (span.start_ns - start_ns) // _NS_PER_US, (span.end_ns - span.start_ns) // _NS_PER_US

    rows = [
        (
            *times(call.span),
            names.index_of(call.span.name),
            results.index_of(_result(call)),
            int(call.span.is_error),
            [(*times(attempt), int(attempt.is_error)) for attempt in call.attempts[:_MAX_ATTEMPTS]],
            messages.index_of(call.span.status_message),
            regions.index_of(str(call.span.attribute(CLOUD_REGION) or "")),
            sum(end_ns - start_ns for start_ns, end_ns in filter(None, call.back_offs)) // _NS_PER_US,
        )
        for call in sorted(calls, key=lambda call: (call.span.start_ns, call.span.end_ns))
    ]
    texts = {"names": names, "results": results, "messages": messages, "regions": regions}
    data = {**{name: those.listed() for name, those in texts.items()}, "calls": rows}
    text = msgspec.json.encode(data).decode()
    # "<" is all that could end the element, and in JSON it is within strings only
    return Markup(text.replace("<", "\\u003c"))  # ruff: ignore[unsafe-markup-use] a script's text is not unescaped


def _printable(value: object) -> object:
    """Return what is inserted; texts of senders lose control characters and changes of direction."""
    return _TERMINAL.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _joined(texts: Sequence[str]) -> Markup:
    """Return texts of senders as a list; each is cut alone, not the whole."""
    return Markup(", ").join(map(_TERMINAL.printable, texts))


def _listed(calls: Sequence[Call]) -> list[Call]:
    """Return the calls that have rows, in order of start."""
    chosen = sorted(calls, key=lambda call: not call.span.is_error)[:_MAX_ROWS]
    return sorted(chosen, key=lambda call: (call.span.start_ns, call.span.end_ns))


def _row(call: Call, start_ns: int) -> _Row:
    span = call.span
    return _Row(
        start=offset_of(span.start_ns, start_ns),
        start_us=(span.start_ns - start_ns) // _NS_PER_US,
        name=span.name,
        length=duration(span.end_ns - span.start_ns),
        length_us=(span.end_ns - span.start_ns) // _NS_PER_US,
        attempts=call.attempt_count,
        result=_result(call),
        is_error=span.is_error,
        message=span.status_message,
    )


def _result(call: Call) -> str:
    if call.is_not_sent:
        return "no request sent"
    return _status_and_error(http_status(call.span), str(call.span.attribute(ERROR_TYPE) or ""))


def _status_and_error(status: int | None, error: str) -> str:
    """Return both, once where they are the same; an error's code is one word, which must not widen its column."""
    parts = [str(part) for part in (status, _TERMINAL.cut(_TERMINAL.printable(error), _MAX_ERROR_COLUMNS)) if part]
    return " ".join(dict.fromkeys(parts))


def _uncertain(uncertainty: Uncertainty) -> Iterator[tuple[str, int]]:
    """Yield what was lost or is not certain, where it is not zero."""
    for text, number in (
        ("Attempts that were not seen", uncertainty.attempts_missing),
        ("Calls whose attempts may be those of others like them", uncertainty.ambiguous),
        ("Attempts whose call was not seen", uncertainty.orphans),
        ("Calls of operations beyond the bound of the table", uncertainty.operations_left_out),
        ("Failed calls beyond the bound of the table", uncertainty.failures_left_out),
    ):
        if number:
            yield text, number
