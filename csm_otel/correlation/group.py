"""The pending calls and attempts of one API by one sender: `Group`.

Calls *compete* when they have an attempt in common among their candidates; calls that compete directly or by way of
others are a component. A call is *settled* when in its whole component no call lacks an attempt that may still arrive
or is assigned one that hardly fits, and no attempt is without an owner: no later event can change its assignment.
"""

from __future__ import annotations

from itertools import islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from csm_otel.correlation.assignment import Assignment, PendingCall
from csm_otel.correlation.certainty import MAX_CHAIN, is_certain, only_attempt, only_chain
from csm_otel.correlation.chains import Chain, candidate_chains, with_attempt
from csm_otel.correlation.evidence import CallCosts, backoff_ms
from csm_otel.correlation.matching import (
    expected_attempts,
    fits,
    is_redirect,
    is_resent,
    is_sent_first,
    may_be_last,
    may_be_resent,
    may_be_retried,
    may_precede,
)
from csm_otel.correlation.pending import PendingAttempts
from csm_otel.csm.events import ApiCall, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.correlation.backoffs import Learner
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt

_MAX_COMPONENT = 64  # calls; a larger component is never settled, its calls leave at their deadlines
_MAX_WAITING_CHECKED = 32  # calls waiting for attempts that are checked for each new attempt
_MAX_RESENT_CHECKED = 32  # of the attempts that a new call may not count: a network swaps neighbours
_WITHOUT_MIDDLE = 2  # attempts of a call: a first and a last one
_MAX_RECOMPUTED = 4  # calls of these whose candidates are all computed anew


class Match(NamedTuple):
    """The attempts that a call leaves with, by key, in order of time, the last one last."""

    attempts: tuple[int, ...]
    missing: int
    ambiguous: bool


class Group:
    """The pending calls and attempts of one API by one sender."""

    def __init__(self, learner: Learner) -> None:
        """Start empty; ``learner`` learns from the calls that leave."""
        self._learner = learner
        self._attempts = PendingAttempts()
        self._calls: dict[int, PendingCall] = {}
        self._waiting: dict[int, None] = {}
        """Keys of the calls for which missing attempts may still arrive, in order of arrival."""
        self._assignment = Assignment(self._attempts)
        self._competing: dict[int, set[int]] = {}
        """The keys of the calls that have an attempt in one of their candidates, by the attempt's key."""
        self._resent: dict[int, None] = {}
        """Keys of the attempts that may be some call's without being counted, and are no call's yet."""

    def __len__(self) -> int:
        """Return how many events are pending."""
        return len(self._attempts.by_key) + len(self._calls)

    def certain_attempts(self, call: Observed[ApiCall]) -> tuple[int, ...]:
        """Return the attempts with which a new call may leave at once, as in a `Match`; none if it may not.

        They are its only candidate, which no other call wants, and plausible. `add_call` would settle the call with
        them, at a much greater cost.
        """
        attempts = self._attempts.by_key
        expected = 1 if call.event.attempt_count is None else call.event.attempt_count
        if self._resent or is_sent_first(call):
            return ()
        if expected == 1:
            only = only_attempt(call, attempts)
            return () if only is None or only in self._competing or only in self._assignment.extras else (only,)
        if self._calls or not 0 < expected == len(attempts) <= MAX_CHAIN:
            return ()
        return only_chain(call, attempts, self._learner.backoffs_of(call.peer.host, call.event))

    def certain_call(self, attempt: Observed[ApiCallAttempt]) -> int | None:
        """Return the key of the pending call that may leave at once with a new attempt, or None.

        It is the only one, waits for one attempt, and has no candidate yet. `add_attempt` would settle it likewise.
        """
        if len(self._calls) != 1 or self._attempts.by_key or not self._waiting:
            return None
        (pending,) = self._calls.values()
        is_free = pending.expected == len(pending.candidates) == 1 and not (pending.extra or pending.ambiguous)
        if not is_free or may_be_resent(attempt.event) or not is_certain(attempt, pending.call):
            return None
        return pending.key

    def learn_from(self, call: Observed[ApiCall], keys: tuple[int, ...]) -> None:
        """Learn from a call that leaves with all of its attempts."""
        for number, (key, successor) in enumerate(pairwise(keys)):
            attempt = self._attempts[key]
            waited_ms = backoff_ms(attempt, self._attempts[successor])
            self._learner.learn(call.peer.host, call.event, attempt.event, number, waited_ms)

    def pop_call(self, key: int) -> Observed[ApiCall]:
        """Remove the call that `certain_call` returned, and return it."""
        del self._waiting[key]
        return self._calls.pop(key).call

    def add_call(self, key: int, call: Observed[ApiCall], *, waits: bool) -> list[int]:
        """Add a call and return the keys of the calls that this settles.

        With ``waits``, attempts that it is missing may still arrive.
        """
        pending = self._calls[key] = PendingCall(key, call, waits=waits)
        if waits:
            self._waiting[key] = None
        if not self._attempts.by_key:
            pending.expected = expected_attempts(call.event, ())
            pending.candidates = candidate_chains(call, {}, expected=pending.expected)
            (pending.assigned,) = pending.candidates
            return self._settled_with(pending)
        self._compute_candidates(pending)
        self._assign(pending)
        for resent in self._latest_resent() if self._resent else ():
            if self._assignment.owner_of(resent) is None:
                self._assign_extra(resent)
        return self._settled_with(pending)

    def add_attempt(self, key: int, attempt: Observed[ApiCallAttempt]) -> list[int]:
        """Add an attempt and return the keys of the calls that this settles."""
        self._attempts.add(key, attempt)
        if attempt.event.dialect is Dialect.RUBY and may_be_resent(attempt.event):
            self._resent[key] = None
            self._assign_extra(key)
        if not self._waiting:
            return []
        reassigned: dict[int, PendingCall] = {}
        recomputed = 0
        for pending in self._latest_waiting():
            if not _may_use(pending, attempt):
                continue
            if pending.expected == 1:
                self._set_candidates(pending, with_attempt(pending.candidates, pending.rest, key, attempt))
            elif recomputed < _MAX_RECOMPUTED and (pending.missing or _may_be_cheaper_with(pending, attempt)):
                recomputed += 1
                self._compute_candidates(pending)
            else:
                continue
            if pending.missing or pending.candidates[0].cost < pending.assigned.cost:
                self._assign(pending)
                reassigned[pending.key] = pending
            # It may now release an attempt that an incomplete call needs.
            for other in self._incomplete_competitors(pending)[:_MAX_RECOMPUTED]:
                self._assign(other)
                reassigned[other.key] = other
        return self._settled_with(*reassigned.values()) if reassigned else []

    def call(self, key: int) -> Observed[ApiCall]:
        """Return a pending call."""
        return self._calls[key].call

    def attempt(self, key: int) -> Observed[ApiCallAttempt]:
        """Return a pending attempt."""
        return self._attempts.by_key[key]

    def is_incomplete(self, key: int) -> bool:
        """Whether a pending call is assigned fewer attempts than it counts."""
        return self._calls[key].missing > 0

    def owner_of(self, attempt: int) -> int | None:
        """Return the key of the call that an attempt is assigned to, or None."""
        owner = self._assignment.owner_of(attempt)
        return None if owner is None else owner.key

    def remove_call(self, key: int) -> Match:
        """Remove a call and return its match, whose attempts are to be removed next."""
        pending = self._calls[key]
        self._assignment.check_ambiguity(pending)
        if pending.missing:
            self._assign_unowned(pending)
        elif pending.expected > 1 and not pending.ambiguous:
            self.learn_from(pending.call, pending.assigned.attempts)
        del self._calls[key]
        self._waiting.pop(key, None)
        self._clear_candidates(pending)
        self._assignment.remove(pending)
        attempts = self._with_extra(pending) if pending.extra else pending.assigned.attempts
        # Without attempts none can be in doubt, though it may have owned ambiguous ones for a while.
        return Match(attempts, pending.missing, pending.ambiguous and bool(pending.assigned.attempts))

    def remove_attempt(self, key: int) -> Observed[ApiCallAttempt]:
        """Remove an attempt and return it."""
        if self._resent:
            self._resent.pop(key, None)
        if key in self._competing:
            self._assignment.note_removal()
        return self._attempts.remove(key)

    def _latest_waiting(self) -> list[PendingCall]:
        """Return the latest of the waiting calls: an attempt that follows its call follows it soon."""
        return [self._calls[key] for key in islice(reversed(self._waiting), _MAX_WAITING_CHECKED)]

    def _latest_resent(self) -> list[int]:
        """Return the latest of the attempts that may be a call's without being counted, the latest last."""
        return list(islice(reversed(self._resent), _MAX_RESENT_CHECKED))[::-1]

    def _compute_candidates(self, pending: PendingCall) -> None:
        eligible = self._eligible_for(pending)
        pending.expected = expected_attempts(pending.call.event, eligible.values())
        self._set_candidates(pending, self._chains_of(pending, eligible))

    def _chains_of(self, pending: PendingCall, attempts: Mapping[int, Observed[ApiCallAttempt]]) -> list[Chain]:
        call, expected = pending.rest, pending.expected
        if expected <= 1:
            return candidate_chains(call, attempts, expected=expected)
        backoffs = self._learner.backoffs_of(call.peer.host, call.event)
        return candidate_chains(call, attempts, expected=expected, backoffs=backoffs)

    def _eligible_for(self, pending: PendingCall) -> dict[int, Observed[ApiCallAttempt]]:
        """Return the attempts that may belong to a call.

        Where calls are sent before their attempts, only later ones: an earlier one is a straggler of another call,
        which would then need the attempt of the next, and so on.
        """
        after = pending.key if is_sent_first(pending.call) else -1
        eligible = self._attempts.eligible_for(pending.rest, after=after)
        if self._assignment.extras:
            for key in self._assignment.extras & eligible.keys():
                del eligible[key]
        return eligible

    def _assign(self, pending: PendingCall) -> None:
        """Assign a call its attempts; where others would be displaced, with more candidates for all of them."""
        if self._assignment.is_in_vain(pending):
            return
        path = self._assignment.cheapest_path(pending)
        # not any(): it would stop at the first of them that has more
        if len(path.changes) > 1 and sum(self._choose_again(changed) for changed, _ in path.changes):
            path = self._assignment.cheapest_path(pending)
        self._assignment.apply(path)

    def _assign_extra(self, key: int) -> None:
        """Assign an attempt that its call does not count to the waiting call that it fits best, if any."""
        attempt = self._attempts[key]
        fitting = [
            (CallCosts(pending.rest).first(attempt), -pending.key, pending)
            for pending in self._latest_waiting()
            if pending.missing
            and is_resent(attempt.event, pending.call.event)
            and not may_be_last(attempt.event, pending.call.event)
            and fits(attempt, pending.call)
            and self._may_replace_refusal(pending, attempt)
        ]
        if not fitting:
            return
        *_, pending = min(fitting)
        del self._resent[key]
        replaced = self._refusal_of(pending) if not is_redirect(attempt.event) else None
        self._assignment.add_extra(pending, key)
        if replaced is not None:
            self._assignment.remove_extra(pending, replaced)
            self._resent[replaced] = None
            pending.rest = pending.call
        elif pending.expected == 1 or not pending.assigned.attempts:  # it was the first, as they arrive in order
            pending.rest = replace(pending.call, match_start_ns=attempt.match_end_ns)
        self._compute_candidates(pending)
        self._assign(pending)

    def _refusal_of(self, pending: PendingCall) -> int | None:
        """Return the refusal that a call followed to another region, as far as is known.

        It is the last attempt for the first region, so that a later one shows that it was a failure like others, which
        the call counts.
        """
        return next((key for key in pending.extra if not is_redirect(self._attempts[key].event)), None)

    def _may_replace_refusal(self, pending: PendingCall, attempt: Observed[ApiCallAttempt]) -> bool:
        """Whether an attempt is a redirect, or follows the refusal that a call has, if any."""
        refusal = self._refusal_of(pending)
        return refusal is None or is_redirect(attempt.event) or may_precede(self._attempts[refusal], attempt)

    def _with_extra(self, pending: PendingCall) -> tuple[int, ...]:
        """Return the attempts of a call in order of time, the last of those that it counts last."""
        *before, last = [*pending.extra, *pending.assigned.attempts]
        return (*sorted(before, key=lambda key: (self._attempts[key].match_start_ns, key)), last)

    def _choose_again(self, pending: PendingCall) -> bool:
        """Add candidates of what no other call owns, which may not be among the cheapest; return whether there are."""
        if pending.expected == 1:
            return False
        free = self._assignment.available_to(pending, self._eligible_for(pending))
        if len(free) == len(pending.assigned.attempts):
            return False  # they are its own
        known = {chain.attempts for chain in pending.candidates}
        chains = self._chains_of(pending, free)
        new = [chain for chain in chains if chain.attempts not in known]
        if new:
            self._set_candidates(pending, sorted([*pending.candidates, *new], key=attrgetter("cost")))
        return bool(new)

    def _incomplete_competitors(self, pending: PendingCall) -> list[PendingCall]:
        """Return the other calls that miss attempts and have one of this call's in a candidate."""
        keys = {key for attempt in pending.assigned.attempts for key in self._competing.get(attempt, ())}
        return [other for key in sorted(keys - {pending.key}) if (other := self._calls[key]).missing]

    def _set_candidates(self, pending: PendingCall, candidates: list[Chain]) -> None:
        if candidates == pending.candidates:
            return
        self._clear_candidates(pending)
        self._assignment.note_change(pending)
        pending.candidates = candidates
        pending.wanted = {attempt for chain in candidates for attempt in chain.attempts}
        for attempt in pending.wanted:
            competing = self._competing.get(attempt)
            if competing is None:
                self._competing[attempt] = {pending.key}
            else:
                competing.add(pending.key)

    def _clear_candidates(self, pending: PendingCall) -> None:
        for attempt in pending.wanted:
            competing = self._competing[attempt]
            competing.remove(pending.key)
            if not competing:
                del self._competing[attempt]

    def _assign_unowned(self, pending: PendingCall) -> None:
        """Complete an incomplete call that leaves, as far as possible, with attempts that no other call owns."""
        self._assignment.unassign(pending)
        eligible = self._eligible_for(pending)
        if not eligible and pending.call.event.dialect is Dialect.DOTNET:
            eligible = self._attempts.latest()  # under concurrency its Latency may be another call's: nothing fits
        unowned = {key: attempt for key, attempt in eligible.items() if self._assignment.owner_of(key) is None}
        chain = self._chains_of(pending, unowned)[0]
        if len(chain.attempts) > len(pending.assigned.attempts):
            pending.assigned = chain

    def _settled_with(self, *calls: PendingCall) -> list[int]:
        """Return the keys of all calls in the components of these that are settled."""
        settled: list[int] = []
        seen: set[int] = set()
        for pending in calls:
            if pending.key not in seen:
                component = {pending.key}
                if self._is_settled(pending, component):
                    settled += component
                seen |= component
        return sorted(settled)

    def _is_settled(self, pending: PendingCall, component: set[int]) -> bool:
        """Whether a call's component is settled; add its keys, those that are examined until it turns out not to be."""
        owners, pending_attempts = self._assignment.owners, self._attempts.by_key
        queue = [pending]
        while queue:
            current = queue.pop()
            if current.may_improve:
                return False
            for attempt in current.wanted:
                if attempt not in pending_attempts:
                    continue
                if attempt not in owners:
                    return False
                others = self._competing[attempt] - component
                if others:
                    component |= others
                    if len(component) > _MAX_COMPONENT:
                        return False
                    queue += [self._calls[key] for key in others]
        return True


def _may_use(pending: PendingCall, attempt: Observed[ApiCallAttempt]) -> bool:
    """Whether an attempt may be part of a candidate of a call."""
    may_be_retry = pending.expected > 1 and may_be_retried(attempt.event)
    return (may_be_last(attempt.event, pending.call.event) or may_be_retry) and fits(attempt, pending.rest)


def _may_be_cheaper_with(pending: PendingCall, attempt: Observed[ApiCallAttempt]) -> bool:
    """Whether an attempt may replace one of a complete call's, which it owns for lack of this one."""
    if is_sent_first(pending.call):
        return True  # all of its attempts come after it
    call, most = pending.rest, pending.assigned.cost
    costs = CallCosts(call)
    if may_be_retried(attempt.event) and (pending.expected > _WITHOUT_MIDDLE or costs.first(attempt) < most):
        return True
    return may_be_last(attempt.event, call.event) and costs.last(attempt) < most
