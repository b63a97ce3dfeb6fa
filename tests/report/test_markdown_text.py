"""Texts as code, and tables that are cut, as GitHub's own renderer reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.rendered import Rendered

from csm_otel.report.markdown_text import Table, code, fitted
from csm_otel.report.terminal import printable

HOSTILE = [
    pytest.param("a|b", id="pipe"),
    pytest.param("|", id="only-a-pipe"),
    pytest.param("| :-- | --: |", id="row"),
    pytest.param("\\|", id="escaped-pipe"),
    pytest.param("\\", id="backslash"),
    pytest.param("a\\", id="backslash-at-the-end"),
    pytest.param("`", id="backtick"),
    pytest.param("a``b`c```", id="backticks"),
    pytest.param("` | `", id="backticks-and-pipe"),
    pytest.param("</code></td></table><script>alert(1)</script>", id="html"),
    pytest.param("<!--", id="comment"),
    pytest.param("&lt;b&gt; &#124; &copy;", id="entities"),
    pytest.param("[text](http://evil.example)", id="link"),
    pytest.param("![text](http://evil.example/x.png)", id="image"),
    pytest.param("[text][1]", id="reference"),
    pytest.param("<http://evil.example>", id="autolink"),
    pytest.param("see http://evil.example/ and www.evil.example", id="extended-autolink"),
    pytest.param("mailto:someone@evil.example someone@evil.example", id="address"),
    pytest.param("@octocat, @org/team, #1, GH-1, org/repo#1", id="mention"),
    pytest.param("da39a3ee5e6b4b0d3255bfef95601890afd80709", id="commit"),
    pytest.param(":boom: *a* _b_ ~~c~~ $x$ $$y$$", id="emphasis"),
    pytest.param("# heading", id="heading"),
    pytest.param("- [ ] task", id="task"),
    pytest.param("[^1]", id="footnote"),
]


def cells_of(*texts: str) -> Rendered:
    """Return a table of one row with these texts."""
    (text,) = [fitted([Table("T", ("a",) * len(texts), [tuple(map(code, texts))])], 1_000_000)]
    assert text is not None
    return Rendered(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts(text: str) -> None:
    """A text is in its cell as it is, and nothing of it is an element."""
    page = cells_of(text, "next", text)
    assert page.tables["T"][1] == [text, "next", text]
    assert page.names <= {"h4", "table", "thead", "tbody", "tr", "th", "td", "code"}
    title = Rendered(f"### {code(text)}: 1 call\n")
    assert (title.text.strip(), title.names - {"code"}) == (f"{text}: 1 call", {"h3"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("a\nb\r\n# c\u2028d\x85e", "a b # c d e", id="lines"),
        pytest.param("a\u202eb\u2066c\x1b[1md\0e\u200b", "abc[1mde", id="control"),
        pytest.param("\ud800x", "x", id="surrogate"),
        pytest.param("x" * 1_000, "x" * 299 + "…", id="long"),
    ],
)
def test_what_is_left_of_a_text(text: str, shown: str) -> None:
    """A text is on one line without control characters, and cut."""
    assert cells_of(text).tables["T"][1] == [shown]


@given(st.lists(st.text(st.characters() | st.sampled_from("|`\\<>&[]()@#: \n"), max_size=40), min_size=1, max_size=3))
def test_any_texts(texts: list[str]) -> None:
    """Whatever the texts are, the row has them as its cells."""
    page = cells_of(*texts)
    assert page.tables["T"][1] == [printable(text) for text in texts]
    assert page.names <= {"h4", "table", "thead", "tbody", "tr", "th", "td", "code"}


def tables_of(*sizes: int) -> list[Table]:
    """Return a table for each number of rows, of 11 bytes each."""
    return [Table("T", ("a", ">b"), [(f"`{row:04}`",) for row in range(size)]) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "room_rows", "kept"),
    [
        pytest.param((2, 3), 5, (2, 3), id="all"),
        pytest.param((100, 100), 60, (30, 30), id="shared"),
        pytest.param((100, 4, 100), 64, (30, 4, 30), id="small-ones-whole"),
        pytest.param((10, 0), 4, (4, 0), id="empty"),
        pytest.param((10, 10), 0, (0, 0), id="none"),
    ],
)
def test_room(sizes: tuple[int, ...], room_rows: int, kept: tuple[int, ...]) -> None:
    """Small tables are whole, others share the room; what is left out is counted, and no row is cut."""
    tables = tables_of(*sizes)
    smallest = fitted([table._replace(rows=[]) for table in tables], 10_000)
    assert smallest is not None
    notes = sum(len(f"\n{size} more rows left out, as there is no room for more.\n") for size in sizes if size)
    room = len(smallest) + notes + room_rows * len("| `0000` |\n")
    text = fitted(tables, room)

    assert text is not None
    assert len(text.encode()) <= room
    assert [part.count("`0") for part in text.split("####")[1:]] == list(kept)
    left_out = [size - rows for size, rows in zip(sizes, kept, strict=True) if size > rows]
    assert [int(line.split()[0]) for line in text.splitlines() if "left out" in line] == left_out


def test_no_room() -> None:
    """Where not even the heads fit there is no text."""
    assert fitted(tables_of(3), 20) is None
    assert fitted([], -1) is None


@given(st.lists(st.integers(0, 40), max_size=4), st.integers(0, 2_000))
def test_any_room(sizes: list[int], room: int) -> None:
    """The text is never longer than the room, and has or counts each row."""
    text = fitted(tables_of(*sizes), room)
    if text is not None:
        left_out = [int(line.split()[0]) for line in text.splitlines() if "left out" in line]
        assert len(text.encode()) <= room
        assert text.count("`0") + sum(left_out) == sum(sizes)
