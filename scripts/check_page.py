"""Open a page of `exec --report` in Chromium and check that it works, without a request or an error.

Usage: check_page.py PAGE FOLDER. It needs playwright, and Debian's chromium; screenshots are written to FOLDER.
The page is opened as a file, light and dark, and as CI servers serve it that allow neither scripts nor styles.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_STRICT = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"  # as Jenkins sends it
_CHROMIUM = "/usr/bin/chromium"


def main() -> int:
    """Check the page and return the exit code."""
    path, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        found = [
            *_as_a_file(browser, path, folder, "light"),
            *_as_a_file(browser, path, folder, "dark"),
            *_as_served(browser, path, folder),
        ]
        browser.close()
    print(*found or ["no finding"], sep="\n")
    return bool(found)


def _as_a_file(browser: Browser, path: Path, folder: Path, scheme: str) -> list[str]:
    found: list[str] = []
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 1600})
    page.on("console", lambda message: found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", lambda request: found.extend(_foreign(request.url, path)))
    began = time.monotonic()
    page.goto(path.as_uri())
    page.evaluate("() => new Promise(requestAnimationFrame)")
    print(f"{scheme}: drawn after {time.monotonic() - began:.1f} s")
    page.screenshot(path=folder / f"{scheme}.png")
    if not page.locator("#waterfall").is_visible():
        found.append("the waterfall is not visible")
    else:
        found += _used(page)
        page.screenshot(path=folder / f"{scheme}-used.png")
    page.close()
    return found


def _foreign(url: str, path: Path) -> list[str]:
    return [] if url.startswith(path.as_uri()) else [f"request: {url}"]


def _used(page: Page) -> list[str]:
    """Filter, zoom, load the state from the fragment, and sort."""
    page.get_by_label("Failed only").check()
    page.get_by_label("Search").fill("a")
    page.locator(".plot").focus()
    page.keyboard.press("+")
    page.wait_for_url(lambda url: "failed=1" in url and "from=" in url)
    counted = page.locator("output").inner_text()
    page.reload()
    page.locator("#waterfall").wait_for()
    found = [] if page.locator("output").inner_text() == counted else ["the fragment does not restore the state"]
    page.get_by_role("button", name="Whole run").click()
    heading = page.get_by_role("region", name="Operations").get_by_role("button", name="Longest")
    heading.click()
    values = page.eval_on_selector_all(
        "[aria-label=Operations] tbody tr", "rows => rows.map(row => +row.cells[9].dataset.value)"
    )
    return found if values == sorted(values, reverse=True) else [*found, "the table is not sorted"]


def _as_served(browser: Browser, path: Path, folder: Path) -> list[str]:
    content = path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", _STRICT)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.screenshot(path=folder / "strict.png")
    found = [] if page.locator("table").first.is_visible() else ["no table without scripts and styles"]
    if page.locator("#waterfall").is_visible():
        found.append("an empty waterfall without scripts")
    page.close()
    server.shutdown()
    return found


if __name__ == "__main__":
    sys.exit(main())
