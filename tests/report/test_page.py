"""The page: its structure as a parser sees it, hostile texts, and its size."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from traced import attempt_of, command, traced

from csm_otel.report.page import render_page
from csm_otel.spans.data import SpanRole
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.comparison import compare
from csm_otel.summary.trace import traces_of

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

WITHOUT_DATA = 100_000
KNOWN_TAGS = {
    "html", "head", "meta", "title", "style", "script", "body", "header", "main", "footer", "section", "div", "form",
    "label", "input", "output", "canvas", "button", "select", "option", "span",
    "h1", "h2", "p", "dl", "dt", "dd", "small", "table", "caption",
    "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
MAY_REFER = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction", "ping"}


class Page(HTMLParser):
    """What a browser reads from a page: tags with their attributes, and tables by caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.facts: list[str] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        """Texts of the elements without markup."""
        self._caption = ""
        self._text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag; a row and a cell begin."""
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.tables[self._caption].append([])
        if tag in {"caption", "td", "th", "dt", "dd", "style", "script"}:
            self._text = ""

    def handle_endtag(self, tag: str) -> None:
        """End a caption, a cell or a fact."""
        if tag == "caption":
            self._caption = self._text
            self.tables[self._caption] = []
        elif tag in {"td", "th"}:
            self.tables[self._caption][-1].append(self._text)
        elif tag in self.raw:
            self.raw[tag].append(self._text)
        elif tag in {"dt", "dd"}:
            self.facts.append(self._text)

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self._text += data


def page_of(*spans: SpanData) -> str:
    """Return the page of spans."""
    builder = SummaryBuilder()
    builder.add(spans)
    return render_page(builder.build(), [call for trace in traces_of(spans) for call in trace.calls])


def run() -> list[SpanData]:
    """Return a run with everything that a page has."""
    put = traced("DynamoDB.PutItem", 100, 400, status=200, attributes={"csm.attempts_missing": 1})
    return [
        put,
        attempt_of(put, 100, 200, status=400, error="ThrottlingException"),
        *(traced("SQS.GetQueueUrl", 400 + at, 401 + at) for at in range(20)),
        traced("S3.HeadObject", 460, 470, status=404, error="404"),
        traced("S3.GetObject", 500, 600, status=403, error="AccessDenied", message="not authorized"),
        command(code=1),
    ]


def test_a_run() -> None:
    """Head, then tables in the order of what matters, each with its numbers."""
    page = Page(page_of(*run()))

    assert ["Exit code", "1", "Time", "1.00 s, of which 430 ms in AWS calls"] == page.facts[:4]
    assert page.facts[-1] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert list(page.tables) == ["What failed", "Operations", "Patterns", "IAM actions", "What is uncertain", "Calls"]
    failed = page.tables["What failed"]
    assert failed[1][:6] == [
        "S3.GetObject", "403 AccessDenied", "1", "+500 ms", "+500 ms", "the last call before the command failed",
    ]  # fmt: skip
    assert failed[1][6:] == [
        "not authorized", "The credentials were accepted, but their policies do not allow this action.",
    ]  # fmt: skip
    assert [row[0] for row in failed[1:]] == ["S3.GetObject", "S3.HeadObject"]
    assert page.tables["Operations"][1][:6] == ["DynamoDB.PutItem", "write", "1", "0", "1", "1"]
    assert ["S3.GetObject", "s3:GetObject", "1 denied"] in page.tables["IAM actions"]
    assert page.tables["What is uncertain"][1:] == [["Attempts that were not seen", "1"]]
    assert len(page.tables["Calls"]) == 1 + 23
    assert page.tables["Calls"][1] == ["+100 ms", "DynamoDB.PutItem", "300 ms", "2", "200", ""]
    assert page.tables["Calls"][-1][-2:] == ["403 AccessDenied", "not authorized"]


def test_nothing() -> None:
    """A run without calls is a page that says so."""
    assert "No call failed." in page_of(command())
    assert "No call failed." in page_of()


def test_no_request() -> None:
    """The policy forbids all but what is in the page, and nothing refers to anything outside."""
    page = Page(page_of(*run()))
    policy = next(str(given["content"]) for tag, given in page.tags if "http-equiv" in given and tag == "meta")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        text = page.raw[kind][-1]
        assert f"{kind}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}';" in policy
    own = "".join(page.raw["style"] + page.raw["script"])
    assert not [word for word in ("http", "url(", "@import", "fetch(", "innerHTML", "eval(") if word in own]
    assert not [name for _, given in page.tags for name in given if name in MAY_REFER or name.startswith("on")]
    assert not [given for _, given in page.tags if "style" in given]


def test_tables_are_accessible() -> None:
    """Each header cell has a scope, and each table a caption and a region that the keyboard reaches."""
    page = Page(page_of(*run()))
    assert {given.get("scope") for tag, given in page.tags if tag == "th"} == {"row", "col"}
    regions = [given for _, given in page.tags if given.get("role") == "region"]
    assert len(regions) == len(page.tables)
    assert all(given["tabindex"] == "0" and given["aria-label"] for given in regions)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("</script><script>alert(1)</script>", None, id="script"),
        pytest.param("</style></table><img src=x onerror=alert(1)>", None, id="image"),
        pytest.param("<!--", None, id="comment"),
        pytest.param("\"' onload='x", None, id="quotes"),
        pytest.param("{{ 7 * 7 }}{% endif %}", None, id="template"),
        pytest.param("&lt;b&gt;", None, id="entity"),
        pytest.param("a\u202eb\u2066c\x1b[1md\0e", "abc[1mde", id="control"),
        pytest.param("\ud800x", "x", id="surrogate"),
        pytest.param("a\u2028b\u2029c", "a b c", id="line-separator"),
    ],
)
def test_hostile_texts(text: str, shown: str | None) -> None:
    """Whatever is sent is text, wherever it is shown."""
    call = traced(
        f"S3.{text}", 0, 1, error=text, message=text,
        attributes={"csm.sdk": text, "cloud.region": text, "cloud.account.id": text, "server.address": text},
    )  # fmt: skip
    html = page_of(call, attempt_of(call, 0, 1, attributes={"server.address": text}), command(name=text))
    page = Page(html)

    html.encode()
    shown = text if shown is None else shown
    assert {tag for tag, _ in page.tags} <= KNOWN_TAGS
    assert page.tables["Calls"][1][1] == f"S3.{shown}"
    assert page.tables["Calls"][1][-2:] == [shown, shown]
    assert page.facts.count(shown) >= 3
    data = json.loads(page.raw["script"][0])
    assert data["texts"][:3] == ["", f"S3.{shown}", shown]
    assert not [name for _, given in page.tags for name in given if name in MAY_REFER or name.startswith("on")]


def test_long_lists_are_whole() -> None:
    """A list of texts is not cut as one text."""
    spans = [traced("S3.GetObject", at, at + 1, attributes={"cloud.region": f"{at:0100}"}) for at in range(20)]
    assert f"{19:0100}" in "".join(Page(page_of(*spans)).facts)


def test_many() -> None:
    """Of more than 5,000 calls those that failed are listed, and the others as far as there is room."""
    spans = [traced("S3.GetObject", at, at + 1, status=200) for at in range(5_010)]
    spans.append(traced("S3.PutObject", 6_000, 6_001, status=500, error="InternalError"))
    html = page_of(*spans)
    rows = Page(html).tables["Calls"]
    assert (len(rows), rows[-1][1]) == (1 + 5_000, "S3.PutObject")
    assert "11 further calls are counted above, but not in this list." in html


def test_an_orphan() -> None:
    """An attempt without its call is listed, too."""
    page = Page(page_of(traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN, error="E")))
    assert page.tables["Calls"][1][1] == "S3.GetObject attempt"


def test_comparison() -> None:
    """What differs from another run is a table after the failures."""
    text = "<b>now</b>"
    before, after = SummaryBuilder(), SummaryBuilder()
    before.add([traced("S3.GetObject", 0, 100)])
    after.add([traced("S3.GetObject", 0, 4_000)])
    after.add([traced(f"S3.{text}", 0, 1, status=403, error="AccessDenied")])
    page = Page(render_page(after.build(), [], compare(before.build(), after.build())))
    assert list(page.tables)[:2] == ["What failed", "What differs from the run before"]
    assert page.tables["What differs from the run before"][1:] == [
        ["now fails", f"S3.{text}", "403 AccessDenied, 1 time"],
        ["new", f"S3.{text}", "1 call, changes something, by its name"],
        ["slower", "S3.GetObject", "p50 100 ms, now 4.00 s; p95 100 ms, now 4.00 s"],
    ]


def test_comparison_of_equal_runs() -> None:
    """Runs that do not differ are said to be equal."""
    builder = SummaryBuilder()
    builder.add([traced("S3.GetObject", 0, 100)])
    html = render_page(builder.build(), [], compare(builder.build(), builder.build()))
    assert "<p>The same operations, errors and places, and about as fast.</p>" in html


def test_size() -> None:
    """Without data it is small enough for any artifact."""
    assert len(page_of(*run())) < WITHOUT_DATA
