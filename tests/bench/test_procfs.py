"""benchmarks/e2e/procfs.py: what Linux reports about a port."""

from __future__ import annotations

from benchmarks.e2e.procfs import Queue, queue_in

TABLE = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:7918 00000000:0000 07 00000000:00000500 00:00000000 00000000     0        0 1 2 0000000000000000 7
  124: 0100007F:9C40 0100007F:7918 01 00000000:00000A00 00:00000000 00000000     0        0 1 2 0000000000000000 1
"""


def test_the_queue_of_a_port() -> None:
    """Only the sockets bound to the port count, not those that send to it."""
    assert Queue(0x500, 7) == queue_in(TABLE, 31_000)
    assert Queue(0, 0) == queue_in(TABLE, 9)
