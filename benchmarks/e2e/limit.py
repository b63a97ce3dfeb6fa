"""The least that a bridge in Python does: receive, and decode into typed fields; nothing is delivered.

python -m benchmarks.e2e.limit BUFFER_BYTES
"""

from __future__ import annotations

import sys

import msgspec

from benchmarks.e2e.listening import serve
from csm_otel.csm.wire import Wire


def main() -> None:
    """Run until SIGTERM."""
    serve(msgspec.json.Decoder(Wire).decode, buffer_bytes=int(sys.argv[1]))


if __name__ == "__main__":
    main()
