"""The deliverer of a destination, and the modules that it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from otlp_backend import DEADLINE_SECONDS

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
