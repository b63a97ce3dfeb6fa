"""The image is built from the checkout and run by podman, with networks as Docker gives them; senders are outside."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import subprocess
import sys
import tarfile
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from e2e.programs import ONE_CALL_SENT, environment
from e2e.programs import run as run_csm_otel
from interop.built_image import CANARY, CREATED, IMAGE, REVISION
from interop.install_image import ROOT
from otlp_backend import HttpBackend, wait_until

from csm_otel import __version__

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from interop.conftest import StartCollector
    from interop.containers import Container, Containers
    from interop.jaeger import Jaeger

SPOOL = "/var/lib/csm-otel"
DRAIN_SECONDS = 8
SCRIPT = """
import boto3, sys
s3 = boto3.client("s3")
for _ in range(int(sys.argv[1])):
    s3.list_buckets()
"""
CALLS = 40
SPANS_OF_A_CALL = 2  # the call and its attempt
OPEN = {"CSM_OTEL_HOST": "0.0.0.0", "CSM_OTEL_ALLOW_REMOTE": "true", "CSM_OTEL_HEALTH": "0.0.0.0:31001"}
"""What a service container of CI is given, whose command need not be changed."""


@pytest.fixture(scope="session")
def archive(containers: Containers) -> Path:
    """Return the image as a file: its layers and its configuration."""
    path = containers.folder / "image.tar"
    containers.podman("save", "--quiet", "--format", "docker-archive", "--output", path, IMAGE)
    return path


def test_its_configuration(containers: Containers) -> None:
    """It runs as nobody's user, exposes both ports, keeps its spool in a volume, and says what it is."""
    configuration = containers.inspect(IMAGE)["Config"]
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): text for name, text in configuration["Labels"].items() if prefix in name}
    assert {
        "title": "csm-otel",
        "description": "AWS SDK Client Side Monitoring (CSM) to OpenTelemetry",
        "licenses": "Apache-2.0",
        "version": __version__,
        "created": CREATED,
        "revision": REVISION,
    } == labels
    assert "65532:65532" == configuration["User"]
    assert {"31000/udp", "31001/tcp"} == configuration["ExposedPorts"].keys()
    assert {SPOOL} == configuration["Volumes"].keys()


def test_it_has_no_build_tools(containers: Containers) -> None:
    """Neither pip nor a compiler, nor what the wheel was built by; csm-otel is there."""
    programs = "pip pip3 cc gcc g++ clang make hatch hatchling"
    modules = "pip ensurepip setuptools wheel hatchling shtab pytest"
    found = "import importlib.util, sys; print([one for one in sys.argv[1:] if importlib.util.find_spec(one)])"
    script = (
        f"for one in csm-otel {programs}; do command -v $one; done; /opt/csm-otel/bin/python -c '{found}' {modules}; "
        f"python3 -c '{found}' {modules}; ls -d /build ~/.cache /opt/csm-otel/lib/python*/site-packages/*.pth"
    )
    done = containers.try_podman("run", "--rm", "--no-healthcheck", "--entrypoint=sh", IMAGE, "-c", script)
    assert ["/opt/csm-otel/bin/csm-otel", "[]", "[]"] == done.stdout.splitlines(), done.stderr


def test_nothing_of_the_builds_configuration_is_in_it(archive: Path) -> None:
    """No layer and no line of its history has what pip was configured with."""
    with tarfile.open(archive) as outer:
        for member in outer.getmembers():
            data = outer.extractfile(member)
            if data is not None:
                assert CANARY not in data.read(), member.name
        layers = [name for name in outer.getnames() if name.endswith(".tar")]
        names = {inner for layer in layers for inner in _names_in(outer, layer)}
    assert "opt/csm-otel/bin/csm-otel" in names
    assert {"etc/pip.conf", "run/secrets"} & {name.strip("/") for name in names} == set()


def test_its_size_is_documented(containers: Containers, archive: Path) -> None:
    """docs/containers.md says what the image adds to its base, compressed and not, within a tenth."""
    documented = re.search(
        r"adds (\d+) MB to its base, (\d+) MB compressed", (ROOT / "docs/containers.md").read_text(encoding="utf-8")
    )
    assert documented
    (_, added) = containers.inspect(IMAGE)["RootFS"]["Layers"]  # the base's and ours, which buildah makes one
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(f"{added.removeprefix('sha256:')}.tar")
        assert layer is not None
        data = layer.read()
    sizes = [len(data) / 1e6, len(gzip.compress(data, 6)) / 1e6]
    assert sizes == pytest.approx([float(text) for text in documented.groups()], rel=0.1)


def test_defaults_are_for_a_shared_loopback(containers: Containers, tmp_path: Path) -> None:
    """A program that has the container's network, as in a pod or task, reaches it as on one machine.

    The back end is missing, and SIGKILL ends it: the next container delivers from the spool.
    """
    flags = ("--network=none", f"--volume={tmp_path.name}:{SPOOL}")
    with containers.container(IMAGE, flags=flags) as container:
        _await_health(container)
        container.inside_its_network(*ONE_CALL_SENT, environment=environment(AWS_CSM_ENABLED="true"))
        assert 1 == container.run("csm-otel", "flush", "--timeout", "1").returncode
        container.kill()
        assert 137 == container.exit_code()
    with HttpBackend() as backend:
        variables = {"CSM_OTEL_PORT": "0", "CSM_OTEL_HEALTH": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint}
        flags = ("--network=host", f"--volume={tmp_path.name}:{SPOOL}")
        with containers.container(IMAGE, flags=flags, variables=variables) as container:
            backend.wait_for_accepted(1)
            assert 0 == container.stop(seconds=DRAIN_SECONDS + 2), container.log()
        assert ["S3.ListBuckets", "S3.ListBuckets attempt"] == sorted(span.name for span in backend.spans)


def test_a_network_of_its_own_needs_to_be_opened(containers: Containers) -> None:
    """By default published ports lead nowhere, and an address for all is rejected without the flag for it."""
    health = _free_port()
    with containers.container(IMAGE, flags=(f"--publish=127.0.0.1:{health}:31001/tcp",)) as container:
        _await_health(container)
        with pytest.raises(OSError, match=r"refused|reset|closed"):
            urllib.request.urlopen(f"http://127.0.0.1:{health}/healthz", timeout=30)
    with containers.container(IMAGE, "serve", "--host", "0.0.0.0") as container:
        assert 2 == container.exit_code()
        assert "csm-otel: --host: 0.0.0.0 is no loopback address; allow it with --allow-remote\n" in container.log()


@pytest.fixture
def backend() -> Iterator[HttpBackend]:
    """Run a back end that containers reach at their gateway, too."""
    with HttpBackend(host="0.0.0.0") as running:
        yield running


def test_sigterm_drains(containers: Containers, backend: HttpBackend, moto_port: int) -> None:
    """What a script outside has sent just before is delivered, with the exit code 0."""
    csm, health = _free_port(), _free_port()
    with _service(containers, backend, csm, health) as container:
        _call_aws(moto_port, csm)
        assert 0 == container.stop(seconds=DRAIN_SECONDS + 2), container.log()
        assert CALLS * SPANS_OF_A_CALL == len(backend.spans), container.log()
        assert "delivered" in container.log()


@pytest.mark.parametrize("asked", ["over the network", "inside"])
def test_sigkill_after_a_flush_loses_nothing(
    asked: str, containers: Containers, backend: HttpBackend, moto_port: int
) -> None:
    """As CI ends service containers: a script outside, a flush that succeeds, SIGKILL."""
    csm, health = _free_port(), _free_port()
    with _service(containers, backend, csm, health) as container:
        _call_aws(moto_port, csm)
        if asked == "inside":
            done = container.run("csm-otel", "flush")
            assert 0 == done.returncode, done.stderr
        else:
            flushed = run_csm_otel("flush", "--to", str(health), env=environment())
            assert 0 == flushed.returncode, flushed.stderr
        container.kill()
        assert CALLS * SPANS_OF_A_CALL == len(backend.spans), container.log()


def test_nothing_is_lost_on_the_way_to_jaeger(
    containers: Containers, collector: StartCollector, jaeger: Jaeger, moto_port: int
) -> None:
    """With the host's network: a script outside, a flush, SIGKILL; each span is in Jaeger, by way of a Collector."""
    running = collector("jaeger.yaml", JAEGER_OTLP_ENDPOINT=jaeger.otlp_http)
    csm, client_id = _free_port(), "by-way-of-the-image"
    variables = {
        "CSM_OTEL_PORT": str(csm),
        "CSM_OTEL_HEALTH": str(_free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": running.http,
    }
    with containers.container(IMAGE, flags=("--network=host",), variables=variables) as container:
        _await_health(container)
        _call_aws(moto_port, csm, AWS_CSM_CLIENT_ID=client_id)
        done = container.run("csm-otel", "flush")
        assert 0 == done.returncode, done.stderr
        container.kill()
    wait_until(lambda: CALLS == len(jaeger.traces_of(client_id)))
    kinds = Counter(span.name for trace in jaeger.traces_of(client_id).values() for span in trace)
    assert {"S3.ListBuckets": CALLS, "S3.ListBuckets attempt": CALLS} == kinds


@contextlib.contextmanager
def _service(containers: Containers, backend: HttpBackend, csm: int, health: int) -> Generator[Container]:
    """Run the image as a service container, published on ports of 127.0.0.1, until the block ends."""
    endpoint = f"http://host.containers.internal:{backend.endpoint.rpartition(':')[2]}"
    variables = {**OPEN, "CSM_OTEL_FLUSH_OVER_HEALTH": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    published = (f"--publish=127.0.0.1:{csm}:31000/udp", f"--publish=127.0.0.1:{health}:31001/tcp")
    with containers.container(IMAGE, flags=published, variables=variables) as container:
        _await_health(container)
        with urllib.request.urlopen(f"http://127.0.0.1:{health}/healthz", timeout=30) as answer:
            assert 200 == answer.status
        yield container


def _await_health(container: Container) -> None:
    """Run the image's own health check until it succeeds."""

    def is_healthy() -> bool:
        assert container.state()["Running"], container.log()
        return container.containers.try_podman("healthcheck", "run", container.name).returncode == 0

    wait_until(is_healthy)


def _call_aws(moto_port: int, csm_port: int, **more: str) -> None:
    """Run a script with boto3 on this machine that makes calls and sends events of them to a port of 127.0.0.1."""
    env = environment(moto_port, AWS_CSM_ENABLED="true", AWS_CSM_HOST="127.0.0.1", AWS_CSM_PORT=str(csm_port), **more)
    subprocess.run([sys.executable, "-c", SCRIPT, str(CALLS)], env=env, check=True, timeout=120)


def _free_port() -> int:
    """Return a port that is free for TCP and UDP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        port: int = tcp.getsockname()[1]
        return port


def _names_in(outer: tarfile.TarFile, layer: str) -> list[str]:
    with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
        return inner.getnames()
