"""Open a file of ``--chrome-trace`` in its viewers: a program for a Python that has Playwright.

Usage: trace_viewers.py TRACE PERFETTO SPEEDSCOPE, the latter two folders with the viewers' files. Prints a JSON object:
``slices`` has what Perfetto's trace processor makes of the file, as [lane, name, depth, count, nanoseconds], and
``losses`` what it could not use; ``speedscope`` the title of its page and what it complained of.
"""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

CHROMIUM = "chromium"
DEADLINE_MS = 600_000
LOADED = "() => globalThis.app?.trace?.engine !== undefined"
QUERY = """async ([sql, columns]) => {
    const found = [];
    const result = await globalThis.app.trace.engine.query(sql);
    for (const row = result.iter({}); row.valid(); row.next()) {
        const values = columns.map((column) => row.get(column));
        found.push(values.map((value) => typeof value === 'bigint' ? Number(value) : value));
    }
    return found;
}"""
SLICES = """select thread.name as lane, slice.name as name, depth, count(*) as number, sum(dur) as length
    from slice join thread_track on slice.track_id = thread_track.id join thread using (utid)
    group by lane, slice.name, depth order by lane, depth, slice.name"""
LOSSES = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and the trace beside it."""

    trace = Path()

    def translate_path(self, path: str) -> str:
        return str(self.trace) if path.startswith("/trace.json") else super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def _served(folder: Path, trace: Path) -> Generator[str]:
    handler = type("Handler", (_Quiet,), {"trace": trace})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def in_perfetto(browser: Browser, trace: Path, folder: Path) -> dict[str, Any]:
    """Return what Perfetto has of the file."""
    with _served(folder, trace) as url:
        page = browser.new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.goto(f"{url}/index.html#!/?url={url}/trace.json")
        page.wait_for_function(LOADED)
        columns = ["lane", "name", "depth", "number", "length"]
        slices = page.evaluate(QUERY, [SLICES, columns])
        return {"slices": slices, "losses": page.evaluate(QUERY, [LOSSES, ["name", "value"]])}


def in_speedscope(browser: Browser, trace: Path, folder: Path) -> list[str]:
    """Return the title of speedscope's page once the file is open, and what it complained of."""
    said: list[str] = []
    with _served(folder, trace) as url:
        page = browser.new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.on("console", lambda line: said.append(line.text) if line.type in {"error", "warning"} else None)
        page.goto(f"{url}/index.html#profileURL={url}/trace.json")
        page.get_by_text("Time Order").wait_for()
        return [page.title(), *(line for line in said if "WebGL" not in line)]


def main() -> int:
    """Open the file in both."""
    trace, perfetto, speedscope = map(Path, sys.argv[1:4])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=["--no-sandbox"])
        found = {**in_perfetto(browser, trace, perfetto), "speedscope": in_speedscope(browser, trace, speedscope)}
        browser.close()
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
