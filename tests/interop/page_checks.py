"""Open a page of ``--report`` in Chromium and check that it works: a program for a Python that has Playwright.

Usage: page_checks.py PAGE [FOLDER]. Prints a JSON object: for each check what is wrong, empty if nothing is. With a
FOLDER the checks leave screenshots in it, and ``times`` is how long it took to open and to draw: no test compares it.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from playwright.sync_api import Browser, Dialog, Page

CHROMIUM = "chromium"
JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"  # its default
WIDTH, HEIGHT = 1280, 1600
NARROW = 400
# Does something 120 times, a frame after the other, and returns in milliseconds what each took of the script's time,
# and how far the frames were apart.
FRAMES = """async (kind) => {
    const [box, canvas] = [document.querySelector('.plot'), document.querySelector('.plot canvas')];
    const at = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
        bubbles: true, pointerId: 1, buttons: 1, clientX: canvas.getBoundingClientRect().left + x,
        clientY: canvas.getBoundingClientRect().top + y}));
    const wheel = (given) => canvas.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true, ...given}));
    canvas.setPointerCapture = () => {};
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const steps = {
        zoom: (number) => wheel({ctrlKey: true, deltaY: number % 40 < 20 ? -1 : 1, clientX: 800}),
        pan: (number) => wheel({deltaX: number % 80 < 40 ? 20 : -20}),
        drag: (number) => at('pointermove', 600 + 200 * Math.sin(number / 15), 200),
        scroll: (number) => { box.scrollTop = number * 60; },
    };
    if (kind === 'drag') at('pointerdown', 600, 200);
    const [spent, drawn] = [[], []];
    for (let number = 0; number < 120; number += 1) {
        const began = performance.now();
        steps[kind](number);
        const handled = performance.now() - began;
        const time = await frame(); // asked for after the page did, so that the page has drawn
        spent.push(handled + performance.now() - time);
        drawn.push(time);
    }
    if (kind === 'drag') at('pointerup', 600, 200);
    return {spent: spent, apart: drawn.slice(1).map((time, number) => time - drawn[number])};
}"""


@dataclass
class Opened:
    """A page in the browser."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    """What the browser complained of, and what was requested beside the page."""

    def dismiss(self, dialog: Dialog) -> None:
        """Close a dialog, which no page should open."""
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@dataclass
class Subject:
    """The page to check, and what it is opened with."""

    browser: Browser
    path: Path
    folder: Path | None

    @contextmanager
    def open(self, address: str = "", *, width: int = WIDTH, **context: object) -> Generator[Opened]:
        """Open the page, as a file unless it is served somewhere."""
        page = self.browser.new_page(viewport={"width": width, "height": HEIGHT}, **context)
        opened = Opened(page)
        address = address or self.path.as_uri()
        page.on("console", lambda message: opened.wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: opened.wrong.append(f"error: {error}"))
        page.on("dialog", opened.dismiss)
        page.on("popup", lambda _: opened.wrong.append("another window"))
        page.on("request", lambda request: opened.wrong.extend(_foreign(request.url, address)))
        try:
            page.goto(address)
            yield opened
        finally:
            page.close()

    def screenshot(self, page: Page, name: str) -> None:
        """Leave a picture, where they are wanted."""
        if self.folder is not None:
            page.screenshot(path=self.folder / f"{name}.png")


def light(subject: Subject) -> list[str]:
    """The file works in light colours, and axe has no finding."""
    return _as_a_file(subject, "light")


def dark(subject: Subject) -> list[str]:
    """The same in dark colours."""
    return _as_a_file(subject, "dark")


def _as_a_file(subject: Subject, scheme: str) -> list[str]:
    with subject.open(color_scheme=scheme, reduced_motion="reduce") as opened:
        subject.screenshot(opened.page, scheme)
        found = [] if opened.page.locator("#waterfall").is_visible() else ["the waterfall is not visible"]
        opened.page.get_by_label("View").select_option("operation")
        _settle(opened.page)
        subject.screenshot(opened.page, f"{scheme}-by-operation")
        return [*found, *opened.wrong, *_axe(opened.page)]


def served(subject: Subject) -> list[str]:
    """It is the same page from a server."""
    with _served(subject.path) as address, subject.open(address) as opened:
        opened.page.locator("#waterfall").wait_for()
        return opened.wrong


def strict(subject: Subject) -> list[str]:
    """Where a CI server allows neither scripts nor styles, the tables are readable, and nothing is empty."""
    with _served(subject.path, JENKINS) as address, subject.open(address) as opened:
        subject.screenshot(opened.page, "strict")
        blocked = re.compile(r"console: .*(Content Security Policy|sandboxed)")
        return [*_tables_alone(opened.page), *(wrong for wrong in opened.wrong if not blocked.match(wrong))]


def script_off(subject: Subject) -> list[str]:
    """Without scripts the tables are readable."""
    with subject.open(java_script_enabled=False) as opened:
        return [*_tables_alone(opened.page), *opened.wrong]


def _tables_alone(page: Page) -> list[str]:
    found = [] if page.locator("table").first.is_visible() else ["no table"]
    return [*found, "an empty waterfall"] if page.locator("#waterfall").is_visible() else found


def keyboard(subject: Subject) -> list[str]:
    """Rows are chosen and opened by keys, and what is chosen is described."""
    found: list[str] = []
    with subject.open() as opened:
        page = opened.page
        page.locator(".plot").focus()
        for key, fact in (("ArrowDown", "Result"), ("End", "Result"), ("Home", "Result")):
            page.keyboard.press(key)
            _settle(page)
            if fact not in page.locator(".details").inner_text():
                found.append(f"{key} describes no call")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"from="))
        page.keyboard.press("0")
        page.wait_for_url(lambda url: "from=" not in url)
        page.get_by_label("View").select_option("operation")
        page.locator(".plot").focus()
        page.keyboard.press("ArrowDown")
        _settle(page)
        if "Calls" not in page.locator(".details").inner_text():
            found.append("no operation is described")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"search="))
        return [*found, *opened.wrong]


def pointer(subject: Subject) -> list[str]:
    """Below the pointer a call is described; dragging the chart zooms, and dragging the rows moves."""
    found: list[str] = []
    with subject.open() as opened:
        page = opened.page
        page.locator(".plot").scroll_into_view_if_needed()
        box = page.locator(".plot").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 400, box["y"] + 75)
        _settle(page)
        if "Result" not in page.locator(".details").inner_text():
            found.append("no call is described")
        for start, end, y in ((500, 700, 20), (700, 600, 75)):  # the chart, then the rows
            before = page.url
            page.mouse.move(box["x"] + start, box["y"] + y)
            page.mouse.down()
            page.mouse.move(box["x"] + end, box["y"] + y, steps=5)
            page.mouse.up()
            page.wait_for_url(lambda url, before=before: url != before and "from=" in url)
        subject.screenshot(page, "zoomed")
        return [*found, *opened.wrong]


def fragment(subject: Subject) -> list[str]:
    """What is seen and chosen is restored from the fragment."""
    found: list[str] = []
    with subject.open() as opened:
        page = opened.page
        for view in ("time", "operation"):
            page.get_by_label("View").select_option(view)
            page.get_by_label("Search").fill("a")
            page.get_by_label("Minimum").fill("2")
            page.locator(".plot").focus()
            page.keyboard.press("+")
            page.keyboard.press("ArrowDown")
            page.wait_for_url(re.compile("row=" if view == "time" else "view=operation.*row="))
            before = _state(page)
            page.reload()
            page.locator("#waterfall").wait_for()
            _settle(page)
            if _state(page) != before:
                found.append(f"by {view}: {before} became {_state(page)}")
        return [*found, *opened.wrong]


def _state(page: Page) -> list[str]:
    fields = page.eval_on_selector("form", "form => [...new FormData(form)].flat()")
    return [*fields, page.locator("output").inner_text(), page.locator(".details").inner_text()]


def sorting(subject: Subject) -> list[str]:
    """A table is sorted by its heading."""
    with subject.open() as opened:
        opened.page.get_by_role("region", name="Operations").get_by_role("button", name="Longest").click()
        values = opened.page.eval_on_selector_all(
            "[aria-label=Operations] tbody tr", "rows => rows.map(row => +row.cells[9].dataset.value)"
        )
        return opened.wrong if values == sorted(values, reverse=True) else ["the table is not sorted"]


def inert(subject: Subject) -> list[str]:
    """Texts of senders made no element, neither in the page nor in what the script shows of them."""
    with subject.open() as opened:
        page = opened.page
        page.locator(".plot").focus()
        page.keyboard.press("ArrowDown")
        _settle(page)
        strangers = page.eval_on_selector_all(
            "img, iframe, object, embed, link, a, b, svg, video, audio, base, .details :not(p, dl, dt, dd)",
            "those => those.map(one => one.outerHTML)",
        )
        scripts = page.locator("script").count()
        found = [f"{scripts} scripts"] if scripts != len(("data", "code")) else []
        return [*found, *strangers, *opened.wrong]


def narrow(subject: Subject) -> list[str]:
    """On a small screen tables are scrolled, not the page."""
    with subject.open(width=NARROW) as opened:
        subject.screenshot(opened.page, "narrow")
        opened.page.locator(".plot").scroll_into_view_if_needed()
        subject.screenshot(opened.page, "narrow-waterfall")
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        return [*([f"{wide} pixels wide"] if wide > NARROW else []), *opened.wrong]


def forced_colors(subject: Subject) -> list[str]:
    """It is drawn in the colours of the user."""
    with subject.open(forced_colors="active") as opened:
        opened.page.locator("#waterfall").wait_for()
        opened.page.locator(".plot").focus()
        opened.page.keyboard.press("ArrowDown")
        _settle(opened.page)
        subject.screenshot(opened.page, "forced-colors")
        return opened.wrong


def printed(subject: Subject) -> list[str]:
    """On paper there are the tables."""
    with subject.open() as opened:
        opened.page.emulate_media(media="print")
        found = ["the waterfall is printed"] if opened.page.locator("#waterfall").is_visible() else []
        subject.screenshot(opened.page, "printed")
        return [*found, *opened.wrong]


CHECKS = (
    light, dark, served, strict, script_off, keyboard, pointer, fragment, sorting, inert, narrow, forced_colors, printed
)  # fmt: skip


def times(subject: Subject) -> dict[str, str]:
    """Return how long it takes to open the page and to draw a frame."""
    with subject.open() as opened:
        loaded = opened.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
        )
        figures = {"opened": f"{loaded:,.0f} ms"}
        for view in ("time", "operation"):
            opened.page.get_by_label("View").select_option(view)
            for kind in ("zoom", "pan", "drag", "scroll"):
                frames = opened.page.evaluate(FRAMES, kind)
                shown = (f"{name} {_percentiles(frames[name])}" for name in ("spent", "apart"))
                figures[f"{kind}, by {view}"] = "; ".join(shown)
        return figures


def _percentiles(values: list[float]) -> str:
    ordered = sorted(values)
    p50, p95 = (ordered[len(ordered) * share // 100] for share in (50, 95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, max {ordered[-1]:.1f} ms"


def _settle(page: Page) -> None:
    """Wait until what was changed is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def _axe(page: Page) -> list[str]:
    # The rows of a long table are alike, and axe would take minutes for them.
    page.eval_on_selector_all("tbody tr:nth-child(n+50)", "rows => rows.forEach(row => row.remove())")
    violations = Axe().run(page).response["violations"]
    return [f"axe: {one['id']}: {node['html']}" for one in violations for node in one["nodes"]]


def _foreign(url: str, address: str) -> list[str]:
    return [] if url.partition("#")[0] == address else [f"request: {url}"]


@contextmanager
def _served(path: Path, policy: str = "") -> Generator[str]:
    """Serve the page with a header, and yield its address."""
    content = path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/page.html"
    finally:
        server.shutdown()
        server.server_close()


def _findings(check: Callable[[Subject], list[str]], subject: Subject) -> list[str]:
    """Return what a check finds, also if it waits in vain."""
    try:
        return check(subject)
    except Error as error:
        return [str(error)]


def main() -> int:
    """Run every check."""
    path = Path(sys.argv[1]).resolve()
    folder = Path(sys.argv[2]) if len(sys.argv) > len(("program", "page")) else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=f"/usr/bin/{CHROMIUM}", args=["--no-sandbox"])
        subject = Subject(browser, path, folder)
        found: dict[str, object] = {check.__name__: _findings(check, subject) for check in CHECKS}
        if folder is not None:
            found["times"] = times(subject)
        browser.close()
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
