"""gateway.yaml and load-balancer.yaml: whatever is killed, nothing is lost, and a trace stays at one gateway."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
from datagrams import attempt, call
from e2e.programs import environment, serving
from interop.collector import Collector, by_id, running_collector, spans_in, spans_received
from interop.collector_traffic import of_now, sent_by_serve
from interop.jaeger import free_addresses
from lossless import send
from otlp_backend import HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from e2e.programs import Serving
    from interop.jaeger import ShownSpan

AGENTS = 2
TRACES = 20
ROUNDS = 30
KILLED_IN, BACK_IN = ROUNDS // 3, 2 * ROUNDS // 3


def test_a_gateway_that_is_killed_while_its_back_end_is_away(tmp_path: Path) -> None:
    """What the Collector accepted from csm-otel leaves the next process, once."""
    (address,) = free_addresses(1)
    variables = {"BACKEND_OTLP_ENDPOINT": f"http://{address}", "QUEUE_DIRECTORY": str(tmp_path / "queue")}
    datagrams = [made(Api=f"Call{number}") for number in range(50) for made in (attempt, call)]
    with running_collector("gateway.yaml", tmp_path, variables) as killed:
        sent = sent_by_serve(tmp_path / "sent.jsonl", killed.http, *datagrams)
        killed.kill()
    assert len(sent) == len(datagrams)

    with (
        HttpBackend(port=int(address.rpartition(":")[2])) as backend,
        running_collector("gateway.yaml", tmp_path, variables),
    ):
        wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
        assert by_id(spans_received(backend.accepted)) == by_id(sent)


def test_a_gateway_whose_queue_is_full(tmp_path: Path) -> None:
    """It refuses what it has no room for, and csm-otel keeps and retries it until the back end is there."""
    (address,) = free_addresses(1)
    variables = {"BACKEND_OTLP_ENDPOINT": f"http://{address}", "QUEUE_DIRECTORY": str(tmp_path / "queue")}
    small = "exporters.otlp_http.sending_queue.queue_size=20000"
    datagrams = [made(Api=f"Call{number}") for number in range(100) for made in (attempt, call)]
    with (
        running_collector("gateway.yaml", tmp_path, variables, small) as full,
        agent(tmp_path / "sent.jsonl", full.http) as daemon,
    ):
        for first in range(0, len(datagrams), 20):
            send(daemon.address, of_now(datagrams[first : first + 20]))
            wait_until(partial(has_sent, tmp_path / "sent.jsonl", first + 20))  # a request each
        wait_until(lambda: "sending queue is full" in full.log.read_text("utf-8"))
        with HttpBackend(port=int(address.rpartition(":")[2])) as backend:
            wait_until(lambda: len(spans_received(backend.accepted)) >= len(datagrams))
            assert daemon.stop() == 0
            assert by_id(spans_received(backend.accepted)) == by_id(spans_in(tmp_path / "sent.jsonl"))


def has_sent(file: Path, spans: int) -> bool:
    """Return whether csm-otel has exported so many spans."""
    return len(spans_in(file)) == spans


class Pair:
    """A load balancer before two gateways, each with a back end of its own, so that one sees which spans it had."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self.backends = [stack.enter_context(HttpBackend()) for _ in range(2)]
        self._gateways = [self._start_gateway(number) for number in range(2)]
        one, two = free_addresses(2)
        self._balancing = {
            "GATEWAY_1": self._gateways[0].grpc.removeprefix("http://"),
            "GATEWAY_2": self._gateways[1].grpc.removeprefix("http://"),
            "LISTEN_GATEWAY_1": one,
            "LISTEN_GATEWAY_2": two,
            "QUEUE_DIRECTORY": str(folder / "balancer/queue"),
        }
        self.balancer = self._start_balancer()

    def kill_gateway(self) -> None:
        """Kill the first one, after it has delivered something."""
        wait_until(lambda: self.backends[0].accepted)
        self._gateways[0].kill()

    def restart_gateway(self) -> None:
        """Start the first one again."""
        self._start_gateway(0, **self._gateways[0].listens)

    def restart_balancer(self) -> None:
        """Kill the load balancer and start it again."""
        self.balancer.kill()
        self._balancing.update(self.balancer.listens)
        self.balancer = self._start_balancer()

    def _start_gateway(self, number: int, **listens: str) -> Collector:
        folder = self._folder / f"gateway{number}"
        return self._start(
            "gateway.yaml",
            folder,
            BACKEND_OTLP_ENDPOINT=self.backends[number].endpoint,
            QUEUE_DIRECTORY=str(folder / "queue"),
            **listens,
        )

    def _start_balancer(self) -> Collector:
        return self._start("load-balancer.yaml", self._folder / "balancer", **self._balancing)

    def _start(self, config: str, folder: Path, **variables: str) -> Collector:
        return self._stack.enter_context(running_collector(config, folder, variables))


@pytest.mark.parametrize("with_balancer", [False, True], ids=["a-gateway", "a-gateway-and-the-balancer"])
def test_killed_while_several_agents_send(tmp_path: Path, *, with_balancer: bool) -> None:
    """All spans of a trace come out of the same gateway, as they were sent; what a killed one was delivering, twice."""
    with ExitStack() as stack:
        pair = Pair(stack, tmp_path)
        files = [tmp_path / f"sent{number}.jsonl" for number in range(AGENTS)]
        agents = [stack.enter_context(agent(file, pair.balancer.http)) for file in files]
        for turn in range(ROUNDS):
            for daemon in agents:
                send(daemon.address, of_now(calls_of_each_trace(turn)))
            if turn == KILLED_IN:
                pair.kill_gateway()
            if turn == (KILLED_IN + BACK_IN) // 2 and with_balancer:
                pair.restart_balancer()
            if turn == BACK_IN:
                pair.restart_gateway()
        assert [daemon.stop() for daemon in agents] == [0] * AGENTS
        sent = by_id(span for file in files for span in spans_in(file))
        assert len(sent) == AGENTS * TRACES * ROUNDS * 2

        def received() -> list[list[ShownSpan]]:
            return [spans_received(backend.accepted) for backend in pair.backends]

        wait_until(lambda: {span.span_id for spans in received() for span in spans} >= sent.keys())
        killed, other = received()
    if not with_balancer:  # which delivers again what it was delivering
        assert len(by_id(other)) == len(other)
    traces = [{span.trace_id for span in spans} for spans in (killed, other)]
    assert all(traces)
    assert not traces[0] & traces[1]
    assert {span.span_id: span for span in (*killed, *other)} == sent


def agent(file: Path, endpoint: str) -> AbstractContextManager[Serving]:
    """Run an agent that sends often."""
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="50")
    return serving("--file", file, "--drain-seconds", "60", env=env)


def calls_of_each_trace(turn: int) -> Iterator[bytes]:
    """Yield a call with its attempt for each trace."""
    for number in range(TRACES):
        for made in (attempt, call):
            yield made(ClientId=f"app;00-{number + 1:032x}-{number + 1:016x}-01", Api=f"Call{turn}")
