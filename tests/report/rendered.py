"""Markdown as GitHub renders it: by GitHub's own cmark, with its extensions, and raw HTML as it stands."""

from __future__ import annotations

from html.parser import HTMLParser

from cmarkgfm import markdown_to_html_with_extensions
from cmarkgfm.cmark import Options

EXTENSIONS = ["table", "autolink", "tagfilter", "strikethrough", "tasklist"]


class Rendered(HTMLParser):
    """What a browser reads: tags with their attributes, all text, and the cells of tables by the heading before."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.paragraphs: list[str] = []
        self._heading = ""
        self._began = 0
        self.feed(markdown_to_html_with_extensions(markdown, Options.CMARK_OPT_UNSAFE, EXTENSIONS))
        self.close()

    @property
    def names(self) -> set[str]:
        """The names of all tags."""
        return {name for name, _ in self.tags}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag; a heading, a row, a cell or a paragraph begins."""
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag != "code":
            self._began = len(self.text)

    def handle_endtag(self, tag: str) -> None:
        """End a heading, a cell or a paragraph."""
        if tag in {"h3", "h4"}:
            self._heading = self.text[self._began :]
        elif tag in {"td", "th"}:
            self.tables[self._heading][-1].append(self.text[self._began :])
        elif tag == "p":
            self.paragraphs.append(self.text[self._began :])

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data
