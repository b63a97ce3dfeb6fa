"""The address of a trace in the back end's user interface: `check_trace_url`, `trace_link`."""

from __future__ import annotations

from csm_otel.errors import quoted

_ID = "{trace_id}"
_SCHEMES = ("http://", "https://")
_NOT_IN_URLS = frozenset('"<>\\^`|')  # RFC 3986; braces are ours


def check_trace_url(text: str) -> str:
    """Return a template of a URL as it is, ``http://localhost:16686/trace/{trace_id}``.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    authority = text.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise ValueError("a URL with a user name or password would be shown to all who read the summary")
    is_url = text.startswith(_SCHEMES) and bool(authority) and text.isascii() and text.isprintable() and " " not in text
    if not is_url or not _NOT_IN_URLS.isdisjoint(text) or _ID not in text:
        raise ValueError(f"{quoted(text)} is no URL with {_ID} in it")
    return text


def trace_link(template: str, trace_id: str) -> str:
    """Return the address of a trace; empty without a template or an id."""
    return template.replace(_ID, trace_id) if trace_id else ""
