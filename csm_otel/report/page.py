"""A summary and its calls to a page of HTML in one file, which makes no requests: `render_page`.

All that it says is in its markup, as CI servers show pages with neither scripts nor styles. Texts come from senders:
each is made printable and escaped where it is inserted.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup

from csm_otel.report.comparison import differences, remark, sums
from csm_otel.report.failed import EFFECTS, most_serious_first
from csm_otel.report.page_calls import cell_of, columns_of_calls, listed_calls, row_of
from csm_otel.report.rows import offset_of
from csm_otel.report.terminal import duration_ms, printable
from csm_otel.report.totals import uncertain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jinja2.runtime import Context

    from csm_otel.report.page_calls import Columns
    from csm_otel.summary.comparison import Comparison
    from csm_otel.summary.model import Summary
    from csm_otel.summary.trace import Call

_SCRIPTS = ("page_tables.js", "page_calls.js", "page_drawing.js", "page_waterfall.js")


def render_page(summary: Summary, calls: Sequence[Call], comparison: Comparison | None = None) -> str:
    """Return the page; ``calls`` are listed in order of start, as far as they were kept.

    With a ``comparison``, the page has what differs between an earlier run and this one.

    With more than 5,000 calls, those that failed precede the others in the choice of what is listed.
    """
    environment = _environment()
    style, script = _source("page.css"), "".join(map(_source, _SCRIPTS))
    start_ns = summary.run.start_ns
    listed = listed_calls(calls)
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
        uncertain=list(uncertain(summary.uncertainty)),
        data=_data(columns_of_calls(calls, listed, start_ns)),
        rows=[row_of(call, start_ns) for call in listed],
        sums=[] if comparison is None else list(sums(comparison)),
        remark="" if comparison is None else remark(comparison),
        differences=[] if comparison is None else list(_entries(comparison)),
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
    environment.filters["ms"] = duration_ms
    environment.filters["number"] = "{:,}".format
    environment.filters["listed"] = _joined
    environment.filters["offset"] = _offset
    environment.filters["result"] = lambda group: cell_of(group.status, group.error)
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


def _data(columns: Columns) -> Markup:
    """Return the calls as JSON for the script."""
    text = msgspec.json.encode(columns).decode()
    # "<" is all that could end the element, and in JSON it is within strings only
    return Markup(text.replace("<", "\\u003c"))  # ruff: ignore[unsafe-markup-use] a script's text is not unescaped


def _printable(value: object) -> object:
    """Return what is inserted; texts of senders lose control characters and changes of direction."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _joined(texts: Sequence[str]) -> Markup:
    """Return texts of senders as a list; each is cut alone, not the whole."""
    return Markup(", ").join(map(printable, texts))


def _entries(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield each difference: its kind, its name and its figures."""
    for title, entries, _ in differences(comparison):
        for name, figures in entries:
            yield title, name, figures
