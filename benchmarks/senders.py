"""How many concurrent calls of real SDKs are exactly right, on this machine.

    make accuracy-senders ACCURACY="[--workers 8 32] [--calls 600] [--failing 6] [SENDER ...]"

The senders are those of `make interop`; one that cannot be installed is named and skipped. Each makes its calls of one
API against moto behind the fault proxy, which throttles one try in ``--failing`` and gives each answer its own
request id: the export is compared with the real calls, one by one. Nothing here judges.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from demo import moto_server
from faultrules import Rule
from interop.exactness import compare
from interop.sdks import sdks
from interop.sending import Scenario, make_bucket_and_table, send

# The AWS CLI is a process a call: its calls are no more concurrent than the processor has cores.
LEFT_OUT = ("awscli-v1",)


def main() -> None:
    """Measure and print."""
    known = {sdk.name: sdk for sdk in sdks() if sdk.name not in LEFT_OUT}
    parser = argparse.ArgumentParser(description="Measure how many calls of real SDKs come out exactly right.")
    parser.add_argument("senders", nargs="*", metavar="SENDER", help=f"of {', '.join(known)}; all")
    parser.add_argument("--workers", nargs="*", type=int, default=[8, 32], help="how many calls are under way at once")
    parser.add_argument("--calls", type=int, default=600, help="how many a sender makes")
    parser.add_argument("--failing", type=int, default=6, help="one try in so many is throttled")
    asked = parser.parse_args()
    if unknown := set(asked.senders) - known.keys():
        parser.error(f"no such sender: {', '.join(sorted(unknown))}")
    print(f"{'sender':<15}{'version':<26}{'at once':>8}{'calls':>7}{'attempts':>10}{'exact':>7}{'share':>9}")
    with moto_server() as moto_port:
        make_bucket_and_table(moto_port)
        for name in asked.senders or known:
            sdk = known[name]
            if reason := sdk.why_not():
                print(f"{name:<15}{reason}")
                continue
            for workers in asked.workers:
                scenario = _scenario(asked.calls, workers, asked.failing)
                with tempfile.TemporaryDirectory() as folder:
                    sent = send(sdk, scenario, moto_port=moto_port, folder=Path(folder))
                found = compare(sent.made, sent.spans)
                print(
                    f"{name:<15}{sdk.version:<26}{workers:>8}{found.calls:>7}{found.attempts:>10}{found.exact:>7}"
                    f"{found.share:>9.1%}",
                    flush=True,
                )


def _scenario(calls: int, workers: int, failing: int) -> Scenario:
    def rules(calls: int) -> tuple[Rule, ...]:
        return tuple(Rule(kind="throttle", after=failing * (turn + 1), times=1) for turn in range(calls // failing))

    return Scenario(
        name="at-once", rules=rules, calls=calls, apis=1, workers=workers, attempts=5, attempts_made=None, fails=None
    )


if __name__ == "__main__":
    main()
