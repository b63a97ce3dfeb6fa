"""How many calls get exactly their own attempts, by recordings with the truth of every datagram.

    python benchmarks/accuracy.py [--disturbed] [RECORDING ...]

Without a name it measures those of tests/conformance; others are files written by `record_truth.py`. They are played at
their times of receipt: decisions are made then, and no call is held for more than 250 ms. With ``--disturbed`` the
same is measured on slightly different copies, to see how much depends on the particular recording.

Columns: calls right of all calls; of the wrong ones, how many are marked ambiguous and how many are not; right ones
that are marked; the share of calls with a wrong number of attempts, and of those with a material error: a child
off by more than 5 ms, with another status, or missing. Byte-identical calls are interchangeable.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance.packed import read
from conformance.recordings import TRUTHS, play, recording
from conformance.scoring import Score, score

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.packed import Recorded

    Disturb = Callable[[list[Recorded], random.Random], list[Recorded]]

_JITTER_NS = 50_000
_LATE_NS = 300_000
_LOST = 0.02


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how many calls get exactly their own attempts.")
    parser.add_argument("recordings", nargs="*", metavar="RECORDING", type=Path, help="files instead of the known ones")
    parser.add_argument("--disturbed", action="store_true", help="measure disturbed copies too")
    asked = parser.parse_args()
    recordings = _recordings(asked.recordings)
    width = max(map(len, recordings))
    print(
        f"{'recording':{width}}       right / total       %   wrong: marked  not   right: marked   count %  material %"
    )
    for name, recorded in recordings.items():
        print(_row(f"{name:{width}}", score(recorded, play(recorded))))
    if asked.disturbed:
        print(f"\n{'% right (material)':{width}}" + "".join(f"{name:>19}" for name in DISTURBED))
        for name, recorded in recordings.items():
            scores = (_disturbed(recorded, disturb) for disturb in DISTURBED.values())
            print(f"{name:{width}}" + "".join(_cell(one) for one in scores))


def _recordings(paths: list[Path]) -> dict[str, list[Recorded]]:
    if paths:
        return {path.name.partition(".json")[0]: read(path) for path in paths}
    return {name: recording(name) for name in TRUTHS}


def _row(name: str, scored: Score) -> str:
    wrong, doubted = scored.wrong, scored.doubted
    return (
        f"{name} {scored.right:11} / {scored.calls:5} {scored.percent_right:7.2f}"
        f" {len(wrong & doubted):15} {len(wrong - doubted):4} {len(doubted - wrong):15}"
        f" {scored.percent(scored.miscounted):9.2f} {scored.percent(scored.material):11.2f}"
    )


def _cell(scored: Score) -> str:
    return f"{scored.percent_right:11.2f} ({scored.percent(scored.material):5.2f})"


def _disturbed(recorded: list[Recorded], disturb: Disturb) -> Score:
    disturbed = disturb(recorded, random.Random(1))
    return score(disturbed, play(disturbed))


def _jittered(recorded: list[Recorded], rng: random.Random) -> list[Recorded]:
    """Return a copy with inexact receive times, in the same order."""
    return [one._replace(received_ns=one.received_ns + rng.randint(-_JITTER_NS, _JITTER_NS)) for one in recorded]


def _late(recorded: list[Recorded], rng: random.Random) -> list[Recorded]:
    """Return a copy as received late, without the kernel's timestamps."""
    late, now_ns = [], 0
    for one in recorded:
        now_ns = max(now_ns, one.received_ns + round(rng.expovariate(1 / _LATE_NS)))
        late.append(one._replace(received_ns=now_ns))
    return late


def _halved(recorded: list[Recorded], rng: random.Random) -> list[Recorded]:
    """Return a copy with every other call and its attempts."""
    kept = {label for label in sorted({one.label or "" for one in recorded}) if rng.random() < 1 / 2}
    return [one for one in recorded if (one.label or "") in kept]


def _lossy(recorded: list[Recorded], rng: random.Random) -> list[Recorded]:
    """Return a copy with one datagram in fifty lost, calls and attempts alike."""
    return [one for one in recorded if rng.random() >= _LOST]


DISTURBED: dict[str, Disturb] = {
    "times +- 50 us": _jittered,
    "read late": _late,
    "half the calls": _halved,
    "2 % lost": _lossy,
}


if __name__ == "__main__":
    main()
