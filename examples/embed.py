"""Print a line for each span of the CSM datagrams at a UDP port, until SIGINT or SIGTERM; see docs/library.md.

python examples/embed.py [PORT]
"""

import contextlib
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable

from csm_otel import (
    CorrelatedCall,
    Correlator,
    MalformedDatagramError,
    OrphanAttempt,
    Peer,
    RandomIds,
    SpanMapper,
    decode,
)  # fmt: skip

correlator, mapper = Correlator(), SpanMapper(ids=RandomIds(), resource={})


def show(released: Iterable[CorrelatedCall | OrphanAttempt]) -> None:
    """Print the spans of calls with their attempts, and of orphans."""
    for span in [span for one in released for span in mapper.map(one)]:
        milliseconds = (span.end_ns - span.start_ns) // 1_000_000
        print(span.role.value, span.name, f"{milliseconds} ms", span.attributes.get("error.type", "ok"), flush=True)


signal.signal(signal.SIGTERM, signal.default_int_handler)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(KeyboardInterrupt):
    sock.bind(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 31000))
    print("listening on port", sock.getsockname()[1], flush=True)
    while True:
        deadline = correlator.next_deadline()
        timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        if select.select([sock], [], [], timeout)[0]:
            payload, (host, port) = sock.recvfrom(65_535)
            received_ns, now = time.time_ns(), time.monotonic()
            try:
                for event in decode(payload).events:
                    show(correlator.receive(event, peer=Peer(host, port), received_ns=received_ns, now=now))
            except MalformedDatagramError as error:
                print("malformed:", error.reason, flush=True)
        show(correlator.expire(now=time.monotonic()))
show(correlator.flush())
