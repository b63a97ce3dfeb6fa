"""The section ``watched``: what a boto3 call costs the script that makes it, with and without csm-otel."""

from __future__ import annotations

import random
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from benchmarks.e2e.paired import Interval
from benchmarks.e2e.programs import CsmOtel, Limit, Lines, Sink
from benchmarks.e2e.table import Row
from e2e.programs import environment

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLS = 100  # whose datagrams fit the smallest usual receive buffer
_ROUNDS_A_RUN = 20
# A turn has a delivery in it and one at its end. The script whose turn is next does not pay for the rest of the work.
_BATCH_SPANS, _SETTLING_SECONDS = _CALLS, 0.03
_DATAGRAM_BYTES = 65_535
_OFF, _UNHEARD = "CSM off", "CSM on, nobody reads"
_BARELY, _HEARD = "CSM on, the limit reads", "CSM on, csm-otel serve reads"
_NAMES = (_OFF, _UNHEARD, _BARELY, _HEARD)


def watched(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure four processes in short turns, in another order each time, so that what disturbs one disturbs all."""
    with ExitStack() as stack:
        aws = stack.enter_context(Lines("benchmarks.e2e.dynamodb"))
        aws_port = int(aws.read()["port"])
        sink = stack.enter_context(Sink("http"))
        daemon = stack.enter_context(CsmOtel("http", batch_spans=_BATCH_SPANS).running(sink.endpoint))
        limit = stack.enter_context(Limit("http").running(""))
        unheard = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        unheard.bind(("127.0.0.1", 0))
        unheard.setblocking(False)
        ports = {_OFF: None, _UNHEARD: unheard.getsockname()[1], _BARELY: limit.address[1], _HEARD: daemon.address[1]}
        scripts = {name: stack.enter_context(_script(aws_port, port)) for name, port in ports.items()}
        for script in scripts.values():
            script.read()
        took: dict[str, list[float]] = {name: [] for name in scripts}
        cpu: dict[str, list[float]] = {name: [] for name in scripts}
        order = list(scripts.items())
        chance = random.Random(1)
        for number in range(runs * _ROUNDS_A_RUN):
            chance.shuffle(order)
            for name, script in order:
                time.sleep(_SETTLING_SECONDS)
                _empty(unheard)  # to send to a full buffer is cheaper
                script.write()
                by_clock, by_cpu = script.read()
                took[name].append(by_clock)
                cpu[name].append(by_cpu)
            progress(f"round {number}")
    return [*_rows("a boto3 call", took), *_rows("a boto3 call, CPU of the script", cpu)]


def _empty(sock: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            sock.recv(_DATAGRAM_BYTES)


def _script(aws_port: int, port: int | None) -> Lines:
    variables = {} if port is None else {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": str(port)}
    env = environment(aws_port, **variables)
    return Lines("benchmarks.e2e.script", _CALLS, env=env)


def _rows(what: str, values: dict[str, list[float]]) -> list[Row]:
    off, unheard, barely, heard = (Row("watched", f"{what}: {name}", "us", values[name]) for name in _NAMES)
    return [off, _beside(unheard, off), _beside(barely, unheard), _beside(heard, unheard), _beside(heard, barely)]


def _beside(row: Row, baseline: Row) -> Row:
    row = Row.beside(row.section, row.what, row.unit, row.values, baseline=baseline)
    return row._replace(note=f"{Interval.of(row.ratios).in_percent()} beside {baseline.what.partition(': ')[2]}")
