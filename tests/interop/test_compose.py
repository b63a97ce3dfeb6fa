"""The example for compose, run without containers: each service by its own command, with its own variables.

Where containers have addresses and ports of their own, these are free ones of 127.0.0.1, and volumes are folders. Of
images that are built from the checkout, their Dockerfiles are read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from demo import environment_for
from e2e.programs import DEADLINE_SECONDS, serving
from interop.collector import CONFIGS
from interop.install_image import ROOT
from interop.install_schemas import compose_loader, load_compose
from interop.jaeger import free_addresses
from otlp_backend import wait_until

from soak.daemon import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interop.conftest import StartCollector
    from interop.jaeger import Jaeger

COMPOSE = ROOT / "examples/compose/compose.yaml"
USERS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
REGION = "eu-central-1"
LOOPBACK = "127.0.0.1"
CSM_PORT = "31000"


class Image(NamedTuple):
    """What the last stage of a Dockerfile says."""

    variables: dict[str, str]
    command: list[str]
    health: list[str]
    files: list[str]
    """What is copied from the build's context."""


def image_of(build: Mapping[str, str]) -> Image:
    """Read the Dockerfile of a service."""
    text = Path(build["context"], build["dockerfile"]).read_text("utf-8")
    stage = re.sub(r"^#.*\n|\\\n", "", text, flags=re.MULTILINE).rpartition("\nFROM ")[2]
    said: dict[str, list[str]] = {}
    for name, words in re.findall(r"^([A-Z]+) (.*)$", stage, re.MULTILINE):
        said.setdefault(name, []).append(words)
    return Image(
        variables=dict(word.split("=", 1) for words in said.get("ENV", []) for word in shlex.split(words)),
        command=[word for name in ("ENTRYPOINT", "CMD") for words in said.get(name, []) for word in json.loads(words)],
        health=[word for words in said.get("HEALTHCHECK", []) for word in json.loads(words.partition("CMD ")[2])],
        files=[words.split()[0] for words in said.get("COPY", []) if not words.startswith("--from=")],
    )


class Network:
    """Where on 127.0.0.1 the ports of services are."""

    def __init__(self, services: Mapping[str, Any], jaeger: Jaeger) -> None:
        grpc, http = free_addresses(2)
        self._services = services
        self._addresses = {
            ("collector", "4317"): grpc,
            ("collector", "4318"): http,
            ("jaeger", "4318"): jaeger.otlp_http.removeprefix("http://"),
        }

    def variables(self, service: str) -> dict[str, str]:
        """Return those of a service that have a value; addresses in them are where these are here.

        Raises:
            KeyError: a variable names a port at which no service listens.
        """

        def moved(found: re.Match[str]) -> str:
            return self._addresses[service if found[1] == "0.0.0.0" else found[1], found[2]]

        address = re.compile(rf"\b({'|'.join(map(re.escape, ['0.0.0.0', *self._services]))}):(\d+)\b")
        given = {name: value for name, value in self._services[service]["environment"].items() if value is not None}
        return {
            name: LOOPBACK if value in self._services else address.sub(moved, value) for name, value in given.items()
        }


@pytest.fixture
def services(moto_port: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the services as `docker compose` reads them, where the user's variables are those of moto."""
    if reason := compose_loader().why_not():
        pytest.skip(reason)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for name in USERS:
        monkeypatch.setenv(name, environment_for(moto_port, {})[name])
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    done = load_compose(COMPOSE)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)["services"]
    return loaded


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Return the environment of containers: where programs and folders of their own are, nothing of this process."""
    folders = {name: str(tmp_path / name.lower()) for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
    for folder in folders.values():
        Path(folder).mkdir(mode=0o700)
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **folders}


def test_the_calls_are_at_jaeger(
    services: dict[str, Any], machine: dict[str, str], collector: StartCollector, jaeger: Jaeger, tmp_path: Path
) -> None:
    """The script prints what it would without csm-otel, and its calls are the traces of its service in Jaeger."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="compose", CreateBucketConfiguration={"LocationConstraint": REGION})
    for key in ("one", "two"):
        s3.put_object(Bucket="compose", Key=key)
    network = Network(services, jaeger)

    (config,) = services["collector"]["volumes"]
    assert services["collector"]["command"] == ["--config", config["target"]]
    collector(str(Path(config["source"]).relative_to(CONFIGS)), **network.variables("collector"))

    image = image_of(services["csm-otel"]["build"])
    variables = {**image.variables, **network.variables("csm-otel")}
    (volume,) = services["csm-otel"]["volumes"]
    assert variables["CSM_OTEL_SPOOL"] == volume["target"]
    here = {"CSM_OTEL_SPOOL": str(tmp_path / "spool"), "CSM_OTEL_HEALTH": str(free_port())}
    agent = {**variables, **here, **machine}
    program, subcommand, *flags = services["csm-otel"]["command"] or image.command
    assert (program, subcommand) == ("csm-otel", "serve")

    with serving(*flags, env=agent) as daemon:
        assert daemon.address[0] == "0.0.0.0"  # else other containers do not reach it
        assert services["script"]["depends_on"]["csm-otel"]["condition"] == "service_healthy"
        wait_until(lambda: subprocess.run(image.health, env=agent, check=False, capture_output=True).returncode == 0)
        done = run_script(services["script"], network, machine, tmp_path, daemon.address[1])
        assert daemon.stop() == 0, daemon.rest

    assert done.returncode == 0, done.stderr
    assert "compose 2" in done.stdout.splitlines()
    calls = Counter({"S3.ListBuckets": 1, "S3.ListObjectsV2": len(done.stdout.splitlines())})
    wait_until(lambda: len(jaeger.traces_of("nightly-report")) == calls.total())
    spans = [span for trace in jaeger.traces_of("nightly-report").values() for span in trace]
    names = sorted(span.name for span in spans)
    assert names == sorted([*calls.elements(), *(f"{name} attempt" for name in calls.elements())])
    assert {span.attributes["cloud.region"] for span in spans} == {REGION}


def run_script(
    service: Mapping[str, Any], network: Network, machine: Mapping[str, str], folder: Path, port: int
) -> subprocess.CompletedProcess[str]:
    """Run the script by its image's command, where only that image's files are; it sends to a port of 127.0.0.1."""
    image = image_of(service["build"])
    (folder / "image").mkdir()
    for name in image.files:
        shutil.copy(Path(service["build"]["context"], name), folder / "image")
    variables = {**image.variables, **network.variables("script")}
    assert variables["AWS_CSM_HOST"] == LOOPBACK  # by its name: by default it is a container's own loopback
    assert variables.get("AWS_CSM_PORT", CSM_PORT) == CSM_PORT
    return subprocess.run(
        service["command"] or image.command, cwd=folder / "image",
        env={**machine, **variables, "AWS_CSM_PORT": str(port)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
