"""The deliverer of a destination, and the modules that it loads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from otlp_backend import DEADLINE_SECONDS, Certificate
from platforms import on_linux

from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination, Protocol

_OPENS = """
import sys
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination
open_deliverer(Destination(url="http://127.0.0.1:1", protocol=sys.argv[1])).close()
print(sorted({"grpc", "requests"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        pytest.param("http/protobuf", "HttpDeliverer", id="http"),
        pytest.param("grpc", "GrpcDeliverer", id="grpc"),
    ],
)
def test_the_protocol_chooses_the_deliverer(protocol: Protocol, name: str) -> None:
    """Each protocol has its own deliverer."""
    deliverer = open_deliverer(Destination(url="http://127.0.0.1:1", protocol=protocol))
    deliverer.close()
    assert name == type(deliverer).__name__


@pytest.mark.parametrize(
    ("protocol", "loaded"),
    [
        pytest.param("http/protobuf", "['requests']", id="http"),
        pytest.param("grpc", "['grpc']", id="grpc"),
    ],
)
def test_only_the_library_in_use_is_loaded(protocol: str, loaded: str) -> None:
    """The other protocol's library costs neither time nor memory."""
    ended = subprocess.run(
        [sys.executable, "-c", _OPENS, protocol], check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert loaded == ended.stdout.strip()


_OPENS_WITHIN = """
import resource, sys
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination
from csm_otel.errors import SettingsError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    open_deliverer(Destination(url="http://127.0.0.1:1", protocol=sys.argv[1])).close()
except SettingsError as error:
    print(error)
print("grpc" in sys.modules)
"""
GIBIBYTE = 2**30


@on_linux
@pytest.mark.parametrize(
    ("protocol", "limit_bytes", "expected"),
    [
        pytest.param(
            "grpc",
            GIBIBYTE - 1,
            "OTEL_EXPORTER_OTLP_PROTOCOL: gRPC needs 1 GiB of address space, this process may have 1023 MiB "
            "(ulimit -v); http/protobuf needs less\nFalse\n",
            id="grpc-too-little",
        ),
        pytest.param("grpc", GIBIBYTE, "True\n", id="grpc-enough"),
        pytest.param("grpc", -1, "True\n", id="grpc-unlimited"),
        pytest.param("http/protobuf", GIBIBYTE - 1, "False\n", id="http"),
    ],
)
def test_grpc_is_not_loaded_into_little_address_space(protocol: str, limit_bytes: int, expected: str) -> None:
    """Its library would end the process where it gets none for a thread."""
    ended = subprocess.run(
        [sys.executable, "-c", _OPENS_WITHIN, protocol, str(limit_bytes)],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert expected == ended.stdout


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, ["SSL_CERT_FILE: no such file or directory"], id="http"),
        pytest.param({"protocol": "grpc"}, ["SSL_CERT_FILE: no such file or directory"], id="grpc"),
        pytest.param({"url": "http://127.0.0.1:1"}, [], id="no-tls"),
        pytest.param({"certificate": "OWN"}, [], id="own-certificate"),
    ],
)
def test_missing_authorities_are_reported_at_the_start(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: list[str]
) -> None:
    """A variable of other programs that names no certificates is a line, where they would be used."""
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    values: dict[str, Any] = {"url": "https://127.0.0.1:1", **settings}
    if "certificate" in values:
        values["certificate"] = certificate.text
    said: list[str] = []
    open_deliverer(Destination(**values), say=said.append).close()
    assert expected == said
