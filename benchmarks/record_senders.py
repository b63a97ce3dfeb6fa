"""Record the datagrams of any SDK with the truth about each, for `accuracy.py`.

    python benchmarks/record_senders.py --sdk NAME [--at-once 8] [--faults] ... OUT.jsonl.gz PROGRAM [ARGUMENT ...]

It is `record_truth.py` for senders in other languages, such as those in truth_senders/. The program is started as

    PROGRAM ARGUMENT ... ENDPOINT CALLS AT_ONCE NOTES_FILE

with the environment's settings of AWS, CSM among them. It makes CALLS calls to ENDPOINT, AT_ONCE at a time, and writes
a line of JSON to NOTES_FILE for each datagram, in the order of sending: ``port`` it is sent from, ``b64`` the payload,
``call`` an id of the API call. Then it ends; it is killed, and nothing is written, if that takes longer than a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from record_truth import add_faults, record, write

REDIRECT = (17, 307, "")


def main() -> None:
    """Record and write."""
    asked = _arguments()
    received = record(asked, lambda: [[*asked.program, asked.endpoint, str(asked.calls), str(asked.at_once)]])
    write(asked, received, {"sdk": asked.sdk})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Record an SDK's datagrams with the call that each belongs to.")
    parser.add_argument("out", type=Path, metavar="OUT.jsonl.gz")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM [ARGUMENT ...]", help="the sender")
    parser.add_argument("--sdk", required=True, metavar="NAME", help="SDK and version, for the heading")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8, help="threads, promises or whatever the sender has")
    parser.add_argument("--mode", default="legacy", choices=("legacy", "standard", "adaptive"), help="of retries")
    parser.add_argument("--attempts", type=int, default=4, help="of each call at most")
    parser.add_argument("--latency", default="4-20", metavar="MS-MS", help="how long an answer takes")
    add_faults(parser)
    parser.add_argument("--redirects", action="store_true", help="redirect one request in six, but none twice")
    parser.add_argument("--seed", default="1", help="for the stand-in's answers")
    asked = parser.parse_args()
    if not asked.program:
        parser.error("a PROGRAM is missing")
    if asked.redirects:
        asked.faults = (*asked.faults, REDIRECT)
    return asked


if __name__ == "__main__":
    main()
