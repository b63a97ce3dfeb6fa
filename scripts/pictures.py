"""Make the pictures of the documents from the recording in examples/: output as it looks in a terminal, and the page.

Usage: pictures.py [FOLDER]. The same recording gives the same bytes.
       pictures.py --page [FOLDER]. Screenshots of the page of HTML, which depend on the machine's fonts. It needs
       playwright, and Debian's chromium.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDING = ROOT / "examples/legacy-backup/recording.ndjson"
PICTURES = ROOT / "docs/pictures"
CHROMIUM = "/usr/bin/chromium"

_COLUMN = 8.0  # pixels; the font is as wide
_LINE = 18
_MARGIN = 12
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_CLASSES = {"": "", "0": "", "1": "b", "2": "d", "31": "r", "33": "y", "1;31": "r b"}
_PAGE_WIDTH = 1180  # pixels; a narrower page cuts its tables
_STYLE = """\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; }
rect { fill: #f6f8fa; } .b { font-weight: bold; } .d { fill: #59636e; } .r { fill: #b3261e; } .y { fill: #8a5a00; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } rect { fill: #151b23; } .d { fill: #9198a1; } .r { fill: #ff8a80; } .y { fill: #f0c060; }
}"""


def main() -> int:
    """Write the pictures and return 0."""
    words = sys.argv[1:]
    of_page = words[:1] == ["--page"]
    folder = Path(words[of_page]) if len(words) > of_page else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    if of_page:
        photograph(folder)
        return 0
    for name, flags in (("waterfall", []), ("overview", ["--no-waterfall"])):
        (folder / f"{name}.svg").write_text(svg_of(terminal_text(*flags)), "utf-8")
    return 0


def photograph(folder: Path) -> None:
    """Write two screenshots of the page: its first tables, and its waterfall."""
    from playwright.sync_api import sync_playwright  # ruff: ignore[import-outside-top-level]

    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        path = Path(made, "page.html")
        terminal_text("--report", str(path))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light", viewport={"width": _PAGE_WIDTH, "height": 900})
        page.goto(path.as_uri())
        tables = page.get_by_role("region", name="Operations").bounding_box()
        if tables:  # before anything is scrolled
            height = tables["y"] + tables["height"] + _MARGIN
            clip = {"x": 0, "y": 0, "width": _PAGE_WIDTH, "height": height}
            page.screenshot(path=folder / "page.png", full_page=True, clip=clip)
        page.locator("#waterfall").screenshot(path=folder / "page-waterfall.png")
        browser.close()


def terminal_text(*flags: str) -> str:
    """Return what `csm-otel report` prints of the recording, with colours."""
    command = [sys.executable, "-m", "csm_otel", "report", *flags, str(RECORDING)]
    environ = {"FORCE_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, env=environ, capture_output=True, check=True, cwd=ROOT).stdout.decode()


def svg_of(text: str) -> str:
    """Return a picture of lines with SGR sequences; each piece is placed at its column, whatever the font."""
    lines = text.splitlines()
    width = max(len(_SGR.sub("", line)) for line in lines) * _COLUMN + 2 * _MARGIN
    height = len(lines) * _LINE + 2 * _MARGIN
    body = "\n".join(_line(line, number) for number, line in enumerate(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" '
        f'viewBox="0 0 {width:g} {height}" role="img">\n<style>{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" rx="6"/>\n{body}\n</svg>\n'
    )


def _line(line: str, number: int) -> str:
    y = _MARGIN + (number + 1) * _LINE - 5
    pieces, column, style = [], 0, ""
    for position, part in enumerate(_SGR.split(line)):
        if position % 2:
            style = _CLASSES[part]
            continue
        for match in re.finditer(r"\S+(?: \S+)*", part):
            x = _MARGIN + (column + match.start()) * _COLUMN
            length = len(match[0]) * _COLUMN
            kind = f' class="{style}"' if style else ""
            pieces.append(f'<tspan x="{x:g}" textLength="{length:g}"{kind}>{escape(match[0])}</tspan>')
        column += len(part)
    return f'<text y="{y}">{"".join(pieces)}</text>'


if __name__ == "__main__":
    sys.exit(main())
