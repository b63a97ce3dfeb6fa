"""Files up to a bound, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

from csm_otel.doctor.texts import end_of, folders_above, is_folder, text_of


def test_bounds(tmp_path: Path) -> None:
    """No more than the bound is read."""
    file = tmp_path / "file"
    file.write_bytes(b"abc\xff")

    assert (text_of(file, 2), text_of(file)) == ("ab", "abc\ufffd")
    assert (end_of(file, 2), end_of(file, 9)) == (b"c\xff", b"abc\xff")


def test_unreadable(tmp_path: Path) -> None:
    """What is no file has no text: a folder, a name that is too long, and one that no file can have."""
    for path in (tmp_path, tmp_path / "gone", Path("x" * 5000), Path("a\0b")):
        assert (text_of(path), end_of(path, 9)) == ("", b"")
        assert is_folder(path) is (path == tmp_path)


def test_above() -> None:
    """The nearest folder is first."""
    assert folders_above(Path("/a/b/c.js")) == (Path("/a/b"), Path("/a"), Path("/"))
