"""How many calls get exactly their own attempts, by recordings that know the truth.

Sequential senders leave no doubt, so every call has to be right but for the ones that are named here with their reason.
Concurrent calls of one API are told apart by milliseconds only: a floor guards against a step back.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from conformance.recordings import play, score, truth_recording


class Exceptions(NamedTuple):
    """Datagrams by their index in a recording."""

    wrong: frozenset[int] = frozenset()
    """Calls that do not get exactly their attempts."""
    orphans: frozenset[int] = frozenset()
    """Attempts that leave without a call."""


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
}

CONCURRENT: dict[str, float] = {
    "aio_conc8": 97.0,
    "boto3_fork_after_send": 93.5,
    "boto3_mp4": 97.0,
    "boto3_mt32_client_flt": 81.0,
    "boto3_mt8_client": 94.5,
    "cpp_mt8": 97.0,
    "go_conc8": 97.0,
    "go_conc8_sessions_flt": 92.0,
    "java_mt8": 95.0,
    "js_conc8": 97.0,
    "php_conc8": 93.5,
    "ruby_mt8_client": 96.0,
    "gt_t2": 96.0,
    "gt_t8": 95.0,
    "gt_legacy": 81.5,
}
"""The least share of calls, in percent, that have to be right: three points below what was measured."""


@pytest.mark.parametrize(("name", "exceptions"), [pytest.param(*row, id=row[0]) for row in SEQUENTIAL.items()])
def test_calls_made_one_by_one_get_exactly_their_attempts(name: str, exceptions: Exceptions) -> None:
    """Every call of a sequential sender is right, and no attempt is left over, save for what is named."""
    recorded = truth_recording(name)
    scored = score(recorded, play(recorded))

    assert exceptions == Exceptions(frozenset(scored.wrong), frozenset(scored.orphans))


@pytest.mark.parametrize(("name", "floor_percent"), [pytest.param(*row, id=row[0]) for row in CONCURRENT.items()])
def test_concurrent_calls_mostly_get_exactly_their_attempts(name: str, floor_percent: float) -> None:
    """Of calls to one API at the same time at least so many are right."""
    recorded = truth_recording(name)

    assert score(recorded, play(recorded)).percent_right >= floor_percent
