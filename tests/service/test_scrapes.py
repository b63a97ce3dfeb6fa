"""Scrapes: rendered one after the other, a few at a time, whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS

from csm_otel.delivery.prometheus import Exposed, Exposition
from csm_otel.service.routes import Request, Response
from csm_otel.service.scrapes import Scrapes

if TYPE_CHECKING:
    from collections.abc import Generator


class _Slow(Exposition):
    """Renders the headers it was given, when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_render = threading.Event()
        self.fails = False
        self.threads: set[str] = set()

    def render(self, *, accept: str, accept_encoding: str) -> Exposed:
        self.may_render.wait(DEADLINE_SECONDS)
        self.threads.add(threading.current_thread().name)
        if self.fails:
            raise RuntimeError("secret")
        return Exposed(f"{accept}|{accept_encoding}".encode(), "text/x", "gzip")


class Scraped:
    """Scrapes with what they render and report."""

    def __init__(self) -> None:
        self.exposition = _Slow()
        self.logged: list[str] = []
        self.scrapes = Scrapes(self.exposition, say=self.logged.append)

    def ask(self, **headers: str) -> Response | Future[Response]:
        """Ask with these headers."""
        return self.scrapes.ask(Request("/metrics", "", {k.replace("_", "-"): v for k, v in headers.items()}, "h"))


@pytest.fixture
def scraped() -> Generator[Scraped]:
    """Return one, and close it."""
    scraped = Scraped()
    yield scraped
    scraped.exposition.may_render.set()
    scraped.scrapes.close()


def later(response: Response | Future[Response]) -> Response:
    """Return a response that was not known at once."""
    assert isinstance(response, Future)
    return response.result(DEADLINE_SECONDS)


def test_a_scrape_is_rendered_elsewhere(scraped: Scraped) -> None:
    """Whoever asks goes on at once; another thread renders, as the headers say."""
    response = scraped.ask(accept="a", accept_encoding="b")
    without = scraped.ask()
    scraped.exposition.may_render.set()

    assert later(response) == Response(HTTPStatus.OK, b"a|b", "text/x", "gzip")
    assert later(without).body == b"|"
    assert threading.current_thread().name not in scraped.exposition.threads
    assert len(scraped.exposition.threads) == 1


def test_only_a_few_wait(scraped: Scraped) -> None:
    """More are refused, until some have been answered."""
    waiting = [scraped.ask() for _ in range(4)]
    refused = scraped.ask()
    scraped.exposition.may_render.set()

    assert isinstance(refused, Response)
    assert refused.status == 503
    assert {later(one).status for one in waiting} == {200}
    assert later(scraped.ask()).status == 200


def test_a_defect_costs_one_scrape(scraped: Scraped) -> None:
    """It is reported without its text, and the next scrape is rendered."""
    scraped.exposition.may_render.set()
    scraped.exposition.fails = True
    assert later(scraped.ask()).status == 500
    assert scraped.logged == ["metrics cannot be rendered for Prometheus: RuntimeError"]
    scraped.exposition.fails = False

    assert later(scraped.ask()).status == 200


def test_a_scrape_does_not_hold_up_the_end_of_the_process() -> None:
    """A process ends while one is being rendered, however long that takes."""
    program = f"""
from threading import Event
from csm_otel.service.scrapes import Scrapes
class Hanging:
    def render(self, **headers):
        is_rendering.set()
        Event().wait({FOREVER_SECONDS})
class Asked:
    headers = {{}}
is_rendering = Event()
scrapes = Scrapes(Hanging(), say=print)
scrapes.ask(Asked)
is_rendering.wait()
scrapes.close()
print("closed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=DEADLINE_SECONDS, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"closed\n", b"")


def test_those_that_still_wait_at_the_end(scraped: Scraped) -> None:
    """They are given up, so that they hold nothing up."""
    scraped.ask()
    waiting = scraped.ask()
    scraped.scrapes.close()

    assert isinstance(waiting, Future)
    assert waiting.cancelled()
