"""The table of settings in docs/settings.md, made from their declaration.

`python -m csm_otel.config.document` writes it.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.config.settings import SETTINGS

if TYPE_CHECKING:
    from csm_otel.config.setting import Option, Setting

DOCUMENT = Path("docs/settings.md")
_HEAD = "| Flag | Variable | Default | Values | Command | Meaning |"


def with_settings(document: str) -> str:
    """Return a document with its table of settings as they are declared."""
    before, head, after = document.partition(_HEAD + "\n")
    lines = after.splitlines(keepends=True)
    old = len(list(takewhile(lambda line: line.startswith("|"), lines)))
    return before + head + "".join(f"{line}\n" for line in _lines()) + "".join(lines[old:])


def _lines() -> list[str]:
    rows = [_row(setting, setting.option) for setting in SETTINGS.values() if setting.option]
    return ["|---" * _HEAD.count(" | ") + "|---|", *rows]


def _row(setting: Setting, option: Option) -> str:
    flag = f"--[no-]{setting.flag[2:]}" if setting.kind is bool else setting.flag
    meaning = f"{option.help[0].upper()}{option.help[1:]}."
    cells = (
        f"`{flag}`",
        f"`{setting.variable}`",
        shown_default(setting, option),
        setting.values,
        ", ".join(option.commands),
        f"{meaning} {option.more}".strip(),
    )
    return "| " + " | ".join(cells) + " |"


def shown_default(setting: Setting, option: Option) -> str:
    """Return the cell of a setting's default."""
    if setting.defaults:
        return "unset: " + ", ".join(f"{value:g} for {command}" for command, value in setting.defaults.items())
    if setting.default in (None, ""):
        return f"unset: {option.unset}" if option.unset else "unset"
    text = f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
    value = f"`{text.lower() if isinstance(setting.default, bool) else text}`"
    return f"{value} ({option.note})" if option.note else value


def main() -> int:
    """Write the table into the document below the working folder."""
    DOCUMENT.write_text(with_settings(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
