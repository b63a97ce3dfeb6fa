"""Make the pictures of the documents from the recording in examples/: a waterfall as it looks in a terminal.

Usage: pictures.py [FOLDER]. The same recording gives the same bytes. The page of HTML is photographed by check_page.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDING = ROOT / "examples/legacy-backup/recording.ndjson"
PICTURES = ROOT / "docs/pictures"

_COLUMN = 8.0  # pixels; the font is as wide
_LINE = 18
_MARGIN = 12
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_CLASSES = {"": "", "0": "", "1": "b", "2": "d", "31": "r", "33": "y", "1;31": "r b"}
_STYLE = """\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; }
rect { fill: #f6f8fa; } .b { font-weight: bold; } .d { fill: #59636e; } .r { fill: #b3261e; } .y { fill: #8a5a00; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } rect { fill: #151b23; } .d { fill: #9198a1; } .r { fill: #ff8a80; } .y { fill: #f0c060; }
}"""


def main() -> int:
    """Write the pictures and return 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, flags in (("waterfall", []), ("overview", ["--no-waterfall"])):
        (folder / f"{name}.svg").write_text(svg_of(terminal_text(*flags)), "utf-8")
    return 0


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
