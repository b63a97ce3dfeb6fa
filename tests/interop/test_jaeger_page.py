"""The page on Jaeger has what Jaeger shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interop.jaeger_page import PAGE, page_of

if TYPE_CHECKING:
    from interop.jaeger import Jaeger


def test_the_page_is_what_jaeger_shows(jaeger: Jaeger) -> None:
    """Writing it again would change nothing."""
    assert page_of(jaeger) == PAGE.read_text(encoding="utf-8")
