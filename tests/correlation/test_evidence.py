"""Of two interpretations of the same datagrams, the likelier one costs less."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from datagrams import call
from msgspec.structs import replace
from observations import observed, observed_call, received_at

from csm_otel.correlation.backoffs import PossibleBackoffs
from csm_otel.correlation.evidence import CallCosts, RetryCosts, is_close
from csm_otel.csm.events import ApiCallAttempt, Dialect

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed

REFUSED: dict[str, Any] = {"HttpStatusCode": 500, "AwsException": "InternalServerError"}


def test_one_long_gap_is_likelier_than_two() -> None:
    """One long delay is likelier than two of half its length."""
    the_call = observed_call(call())
    costs = {gap: CallCosts(the_call).first(observed(gap, 30)) for gap in (1, 6, 11)}

    assert costs[1] + costs[11] < costs[6] + costs[6]


@pytest.mark.parametrize(
    ("dialect", "gap_ms", "is_usual"),
    [
        pytest.param(Dialect.BOTOCORE, 1, True, id="botocore-signs-for-a-ms"),
        pytest.param(Dialect.BOTOCORE, 2, False, id="botocore-not-longer"),
        pytest.param(Dialect.BOTOCORE, -1, False, id="botocore-not-before-its-call"),
        pytest.param(Dialect.CPP, 1, False, id="cpp-begins-both-at-once"),
    ],
)
def test_usual_start(dialect: Dialect, gap_ms: int, *, is_usual: bool) -> None:
    """The usual gap between the starts costs nothing, any other does."""
    cost = CallCosts(observed_call(call(dialect))).first(observed(gap_ms, 30, dialect))

    assert (cost > 0) is not is_usual


def test_go_rounds_either_way() -> None:
    """Go's starts are ends less lengths, both truncated: a ms early is as likely as a ms late."""
    the_call = observed_call(call(Dialect.GO))

    early, late = (CallCosts(the_call).first(observed(gap, 30, Dialect.GO)) for gap in (-1, 1))

    assert early == late > 0.0


def test_an_attempt_is_received_before_its_call_reads_its_end() -> None:
    """An attempt that arrives after the end of a call is probably another's, even if it arrives closer to the call."""
    the_call = observed_call(call(), received=32)
    in_time, too_late = (received_at(observed(2, 29), at) for at in (30.5, 31.5))

    assert CallCosts(the_call).last(in_time) < CallCosts(the_call).last(too_late)


def test_queued_senders_may_be_late() -> None:
    """Java sends from a queue, so that an attempt may arrive long after the end of its call."""
    the_call = observed_call(call(Dialect.JAVA), received=32)
    soon, later = (received_at(observed(2, 29, Dialect.JAVA), at) for at in (30.5, 31.5))

    assert CallCosts(the_call).last(later) < CallCosts(the_call).last(soon)


def test_the_next_attempt_begins_after_the_last_was_received() -> None:
    """A thread sends the datagram of an attempt before it begins the next."""
    in_time, too_late = (retried(received_at(observed(0, 10, **REFUSED), at), observed(12, 20)) for at in (12.5, 13.5))

    assert in_time < too_late


@pytest.mark.parametrize("dialect", [Dialect.JS, Dialect.GO, Dialect.CPP, Dialect.JAVA])
def test_receipts_are_causal(dialect: Dialect) -> None:
    """No attempt begins before the last was received, unless its datagram waited for a host name to be resolved."""
    failed, successor = observed(0, 10, dialect, **REFUSED), observed(9, 20, dialect)
    overlapping, in_time = (retried(received_at(failed, at), successor) for at in (10.5, 9.5))
    by_name = retried(received_at(failed, 30), observed(12, 20, dialect))

    assert in_time < overlapping
    assert dialect is Dialect.CPP or by_name == retried(received_at(failed, 12.5), observed(12, 20, dialect))


def test_receipts_of_ruby_say_nothing() -> None:
    """Ruby sends all attempts of a call at its end."""
    failed, successor = observed(0, 10, Dialect.RUBY, **REFUSED), observed(12, 20, Dialect.RUBY)

    assert not retried(received_at(failed, 21), successor)


@pytest.mark.parametrize("wrong_ms", [8, 13, 60])
def test_php_retries_as_soon_as_the_attempt_is_sent(wrong_ms: int) -> None:
    """The start of PHP's retry is before its backoff, which its length includes."""
    failed = received_at(observed(0, 10, Dialect.PHP, **REFUSED), 10.4)

    assert not retried(failed, observed(10, 90, Dialect.PHP))
    assert retried(failed, observed(wrong_ms, 90, Dialect.PHP)) > 0


def test_php_settles_promises_in_order() -> None:
    """Of two calls that are sent after two attempts, the first has the first attempt."""
    early, late = (received_at(observed(2, 29, Dialect.PHP), at) for at in (29.2, 29.8))
    first, second = (received_at(observed_call(call(Dialect.PHP)), at) for at in (29.9, 30.5))
    in_order = CallCosts(first).last(early) + CallCosts(second).last(late)
    crossed = CallCosts(second).last(early) + CallCosts(first).last(late)

    assert in_order < crossed


def retried(failed: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt]) -> float:
    """Return the cost of an attempt after the first of a call, whatever the backoff."""
    the_call = observed_call(call(failed.event.dialect, Latency=100))
    return RetryCosts(failed, the_call, number=0, backoffs=PossibleBackoffs()).next(successor)


def test_two_waits_for_the_interpreter_cost_nearly_the_same() -> None:
    """No delay is far likelier than one of 2 ms, but one of 2 ms hardly likelier than one of 4."""
    the_call = observed_call(call(), received=40)
    at_once, later, much_later = (CallCosts(the_call).last(received_at(observed(2, 29), at)) for at in (39.95, 38, 36))

    assert later - at_once > much_later - later


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7"])
@pytest.mark.parametrize("dialect", sorted(Dialect))
def test_what_is_close_costs_little(dialect: Dialect, host: str) -> None:
    """Where all gaps are short, both costs are less than 10 nats together, whatever the dialect."""
    the_call = received_at(observed_call(call(dialect)), 30.2)
    the_call = replace(the_call, peer=the_call.peer._replace(host=host))
    close = [
        one
        for start, end, received in product(
            (-1, 0, 1, 2, 3), (27, 28, 29, 30, 31), (29.7, 29.8, 30.0, 30.2, 30.4, 30.6, 30.7)
        )
        if is_close(one := received_at(observed(start, end, dialect), received), the_call)
    ]

    assert close
    assert max(CallCosts(the_call).first(one) + CallCosts(the_call).last(one) for one in close) < 10.0
