"""Jaeger and moto for all tests of this folder, and the table of the senders' results."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Protocol

import pytest
from demo import moto_server
from interop import built_image
from interop.collector import Collector, running_collector
from interop.containers import Containers
from interop.install_image import base_image
from interop.install_jaeger import find_binary, missing_toolchain
from interop.install_packagers import why_no_packagers
from interop.jaeger import Jaeger, running_jaeger
from interop.packages import INSTALLERS, make_dist
from interop.sending import make_bucket_and_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.exactness import SenderRow


class StartCollector(Protocol):
    """Starts a Collector that the test's end stops; see `interop.collector.running_collector`."""

    def __call__(self, config: str, /, **environment: str) -> Collector:
        """Start it with a file of collector-config/ and its variables."""


SENDER_ROWS: pytest.StashKey[list[SenderRow]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Create an empty table."""
    config.stash[SENDER_ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if a sender was run."""
    rows = config.stash[SENDER_ROWS]
    if not rows:
        return
    terminalreporter.section("senders")
    line = "{:<15}{:<26}{:<15}{:>7}{:>10}{:>7}{:>9}"
    terminalreporter.write_line(line.format("sender", "version", "scenario", "calls", "attempts", "exact", "share"))
    for row in rows:
        found = row.comparison
        numbers = (found.calls, found.attempts, found.exact, f"{found.share:.1%}")
        terminalreporter.write_line(line.format(row.sender, row.version, row.scenario, *numbers))


@pytest.fixture
def sender_rows(pytestconfig: pytest.Config) -> list[SenderRow]:
    """Return the table to append to."""
    return pytestconfig.stash[SENDER_ROWS]


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """Run one Jaeger for the whole session; tests are separated by trace id."""
    binary = find_binary()
    if binary is None:
        missing = missing_toolchain()
        pytest.skip(f"Jaeger needs {missing}" if missing else "Jaeger is not installed: make interop does it")
    with running_jaeger(binary, tmp_path_factory.mktemp("jaeger") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    """Run one moto for the whole session, with the bucket and table of the senders."""
    with moto_server() as port:
        make_bucket_and_table(port)
        yield port


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[StartCollector]:
    """Return a function that starts one, as in ``collector("jaeger.yaml", JAEGER_OTLP_ENDPOINT=jaeger.otlp_http)``."""
    with ExitStack() as stack:

        def start(config: str, /, **environment: str) -> Collector:
            folder = tmp_path / config.removesuffix(".yaml")
            return stack.enter_context(running_collector(config, folder, environment))

        yield start


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheel and the sdist of this checkout, built once."""
    if why := why_no_packagers():
        pytest.skip(why)
    return make_dist(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that installs that wheel by an installer, once, and returns the program."""
    return cache(lambda installer: INSTALLERS[installer](packages[0], tmp_path_factory.mktemp(installer)))


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Containers:
    """Return what runs containers, with the image of this checkout built and nothing else."""
    if reason := base_image().why_not():
        pytest.skip(reason)
    found = Containers.in_folder(tmp_path_factory.mktemp("containers"))
    built_image.build(found, tmp_path_factory.mktemp("secrets"))
    return found
