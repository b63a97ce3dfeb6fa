"""How many calls get exactly their own attempts, by recordings with known truth.

Calls of sequential senders are unambiguous, so each must be right except those named here with their reason.
Concurrent calls of one API differ by milliseconds only: a floor guards against regressions.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from arrivals import searching_correlator
from conformance.recordings import play, played, recording
from conformance.scoring import score


class Exceptions(NamedTuple):
    """Datagrams by their index in a recording."""

    wrong: frozenset[int] = frozenset()
    """Calls that do not get exactly their attempts."""
    orphans: frozenset[int] = frozenset()
    """Attempts released without a call."""


SEQUENTIAL: dict[str, Exceptions] = {
    "awscli1": Exceptions(),
    "boto3_errors": Exceptions(),
    "boto3_pagwait": Exceptions(),
    "boto3_redirect": Exceptions(),
    "boto3_retries_standard": Exceptions(),
    "cpp_errors": Exceptions(),
    # Its ApiCall was never received: a NewSession dials anew and closes the socket that the call was being written to.
    "go_errors": Exceptions(orphans=frozenset({152})),
    "java_errors": Exceptions(),
    "js_errors": Exceptions(),
    "js_retries": Exceptions(),
    "php_errors": Exceptions(),
    "ruby_errors": Exceptions(),
    "ruby_redirects_flt": Exceptions(),
}


class Floor(NamedTuple):
    """The least accuracy of a recording of concurrent calls, in percent of its calls."""

    right: float
    """The least that are right, a point or so below the measured value."""
    material: float = 1.0
    """The most that are off by more than 5 ms, or in status or number."""
    miscounted: float = 0.5
    """The most with too few or too many attempts."""
    marks_doubt: bool = False
    """Whether at least half of the wrong calls are marked ambiguous."""
    doubted: float = 6.0
    """The most that are right, but marked."""


CONCURRENT: dict[str, Floor] = {
    "aio_conc8": Floor(100),
    # Old boto3, whose user agent lacks the retry mode: legacy, standard, and legacy by default.
    "boto3_1_26_legacy_t16_flt": Floor(97.5, marks_doubt=True),
    "boto3_1_26_standard_t8_flt": Floor(97.5, material=2.5, marks_doubt=True),
    "boto3_deb_1_26_legacy_t8_flt": Floor(99),
    "boto3_py27_1_9_80_t8_flt": Floor(97.5, marks_doubt=True),
    "boto3_py37_1_9_253_t16_flt": Floor(98, marks_doubt=True),
    "boto3_fork_after_send": Floor(99),
    "boto3_mp4": Floor(100),
    "boto3_mt32_client_flt": Floor(96, material=2.5, marks_doubt=True),
    # More than half of the calls are retried, mostly within 25 ms.
    "boto3_mt8_5of9_flt": Floor(94, material=2.5, marks_doubt=True, doubted=12),
    "boto3_mt8_client": Floor(99, marks_doubt=True),
    "cpp_mt8": Floor(99, marks_doubt=True),
    "go_conc8": Floor(100),
    "go_conc8_sessions_flt": Floor(98, material=2.0, marks_doubt=True),
    # Go's own backoffs, and shorter ones that the program has set.
    "go_conc32_flt": Floor(97, material=3.0, marks_doubt=True),
    "go_conc32_fast_flt": Floor(96.5, material=2.5, marks_doubt=True),
    "java_mt8": Floor(98, marks_doubt=True),
    "js_conc8": Floor(100),
    "js_conc32_flt": Floor(98, marks_doubt=True),
    # AWS_CSM_HOST is a name, which is resolved for each datagram: they arrive late and out of order.
    "js_conc32_host_flt": Floor(97.5, material=2.0, marks_doubt=True, doubted=15),
    "php_conc8": Floor(98.5, marks_doubt=True),
    "ruby_mt8_client": Floor(99, marks_doubt=True),
    # One answer in six is a redirect, or a refusal that names the bucket's region; the next attempt follows it.
    "ruby_mt8_redirects_flt": Floor(99),
    "ruby_mt8_region_flt": Floor(99),
    "gt_t2": Floor(99),
    "gt_t8": Floor(99),
    "gt_legacy": Floor(97.5, marks_doubt=True),
}


@pytest.mark.parametrize(("name", "exceptions"), [pytest.param(*row, id=row[0]) for row in SEQUENTIAL.items()])
def test_calls_made_one_by_one_get_exactly_their_attempts(name: str, exceptions: Exceptions) -> None:
    """Every call of a sequential sender is right, and no attempt is left over, except those named."""
    scored = score(recording(name), played(name))

    assert exceptions == Exceptions(frozenset(scored.wrong), frozenset(scored.orphans))


@pytest.mark.parametrize(("name", "floor"), [pytest.param(*row, id=row[0]) for row in CONCURRENT.items()])
def test_concurrent_calls_mostly_get_exactly_their_attempts(name: str, floor: Floor) -> None:
    """Most concurrent calls to one API are right, few errors are visible, and wrong ones are marked ambiguous."""
    scored = score(recording(name), played(name))

    assert scored.percent_right >= floor.right
    assert scored.percent(scored.miscounted) <= floor.miscounted
    assert scored.percent(scored.material) <= floor.material
    assert scored.percent(scored.doubted - scored.wrong) <= floor.doubted
    assert not floor.marks_doubt or 2 * len(scored.wrong & scored.doubted) >= len(scored.wrong)


@pytest.mark.parametrize("name", sorted({*SEQUENTIAL, *CONCURRENT}))
def test_a_search_decides_the_same(name: str) -> None:
    """Calls that leave at once, for want of any choice, leave with the attempts that a search finds, and no later."""
    assert play(recording(name), searching_correlator()).released == played(name).released
