"""The section ``watched``: what a boto3 call costs the script that makes it, with and without csm-otel."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.e2e.programs import CsmOtel, Limit, Lines, Sink
from benchmarks.e2e.table import Row
from e2e.programs import environment

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLS = 100
_ROUNDS_A_RUN = 20
_OFF, _UNHEARD = "CSM off", "CSM on, nobody reads"
_BARELY, _HEARD = "CSM on, the limit reads", "CSM on, csm-otel serve reads"


def watched(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure four processes in turns, so that what disturbs one disturbs all."""
    with ExitStack() as stack:
        aws = stack.enter_context(Lines("benchmarks.e2e.dynamodb"))
        aws_port = int(aws.read()["port"])
        sink = stack.enter_context(Sink("http"))
        daemon = stack.enter_context(CsmOtel("http").running(sink.endpoint))
        limit = stack.enter_context(Limit("http").running(""))
        unheard = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        unheard.bind(("127.0.0.1", 0))
        ports = {_OFF: None, _UNHEARD: unheard.getsockname()[1], _BARELY: limit.address[1], _HEARD: daemon.address[1]}
        scripts = {name: stack.enter_context(_script(aws_port, port)) for name, port in ports.items()}
        for script in scripts.values():
            script.read()
        took: dict[str, list[float]] = {name: [] for name in scripts}
        cpu: dict[str, list[float]] = {name: [] for name in scripts}
        for number in range(runs * _ROUNDS_A_RUN):
            for name, script in scripts.items():
                script.write()
                by_clock, by_cpu = script.read()
                took[name].append(by_clock)
                cpu[name].append(by_cpu)
            progress(f"round {number}")
    return [*_rows("a boto3 call", took), *_rows("a boto3 call, CPU of the script", cpu)]


def _script(aws_port: int, port: int | None) -> Lines:
    variables = {} if port is None else {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": str(port)}
    env = environment(aws_port, **variables)
    return Lines("benchmarks.e2e.script", _CALLS, env=env)


def _rows(what: str, values: dict[str, list[float]]) -> list[Row]:
    off = Row("watched", f"{what}: {_OFF}", "us", values[_OFF])
    unheard = Row.beside("watched", f"{what}: {_UNHEARD}", "us", values[_UNHEARD], baseline=off)
    heard = [
        Row.beside("watched", f"{what}: {name}", "us", values[name], baseline=unheard, note="beside nobody reading")
        for name in (_BARELY, _HEARD)
    ]
    return [off, unheard, *heard]
