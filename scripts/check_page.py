"""Check a page of ``--report`` in Chromium, as tests/interop does, and leave screenshots.

Usage: PYTHONPATH=tests python scripts/check_page.py PAGE FOLDER. Prints what is wrong, and how long it took to open the
page and to draw.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from interop.install_browser import check_page, main


def check() -> int:
    """Check the page and return the exit code."""
    if main():
        return 1
    done = check_page(*map(Path, sys.argv[1:3]))
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    found = json.loads(done.stdout)
    times = found.pop("times", {})
    for name, value in times.items():
        print(f"{name}: {value}")
    wrong = [f"{name}: {finding}" for name, findings in found.items() for finding in findings]
    print(*wrong or ["no finding"], sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(check())
