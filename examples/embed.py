"""The core in a program of one's own: receive CSM datagrams and print a line for each span. See docs/library.md.

    python examples/embed.py [PORT]

Senders need AWS_CSM_ENABLED=true, and AWS_CSM_PORT unless it is 31000. Ctrl-C or SIGTERM ends it.
"""

import contextlib
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

from csm_otel import (
    CorrelatedCall,
    Correlator,
    MalformedDatagramError,
    OrphanAttempt,
    Peer,
    RandomIds,
    SpanMapper,
    decode,
)

correlator = Correlator()
mapper = SpanMapper(ids=RandomIds(), resource={})


def show(released: Sequence[CorrelatedCall | OrphanAttempt]) -> None:
    """Print the spans of calls with their attempts, and of orphans."""
    for span in [span for one in released for span in mapper.map(one)]:
        milliseconds = (span.end_ns - span.start_ns) // 1_000_000
        print(span.role.value, span.name, f"{milliseconds} ms", span.attributes.get("error.type", "ok"), flush=True)


def receive(sock: socket.socket) -> None:
    """Read a datagram, and print what it releases."""
    payload, (host, port) = sock.recvfrom(65_535)
    received_ns, now = time.time_ns(), time.monotonic()
    try:
        events = decode(payload).events
    except MalformedDatagramError as error:
        print("malformed:", error.reason, flush=True)
        return
    for event in events:
        show(correlator.receive(event, peer=Peer(host, port), received_ns=received_ns, now=now))


def main(port: int = 31000) -> None:
    """Receive until interrupted, then print what is still pending."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(KeyboardInterrupt):
        sock.bind(("127.0.0.1", port))
        print("listening on port", sock.getsockname()[1], flush=True)
        while True:
            deadline = correlator.next_deadline()
            timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if select.select([sock], [], [], timeout)[0]:
                receive(sock)
            show(correlator.expire(now=time.monotonic()))
    show(correlator.flush())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
