"""What waits of the calls of one API by one sender: `Group`.

A call is *settled* when neither it nor one it competes with, in turn, may take an attempt that nobody has, misses one
that may still come, or has one that hardly fits: what else arrives is none of theirs.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.assignment import Assignment, HeldCall
from csm_otel.correlation.chains import Chain, chains_of, with_attempt
from csm_otel.correlation.matching import comes_first, fits, may_be_last, may_be_retried, wanted_by
from csm_otel.correlation.pending import PendingAttempts
from csm_otel.csm.events import ApiCall, Dialect

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt

_COMPETITORS = 64  # among how many calls it is looked at whether they are settled
_WAITING = 32  # how many calls that wait for attempts look at one that comes
_LOOKING = 4  # and how many of them for all of their attempts anew


class Choice(NamedTuple):
    """The attempts chosen for a call, by their keys in the group, in order of time, the last one last."""

    attempts: tuple[int, ...]
    missing: int
    ambiguous: bool


class Group:
    """What waits of the calls of one API by one sender."""

    def __init__(self) -> None:
        """Begin empty."""
        self._attempts = PendingAttempts()
        self._held: dict[int, HeldCall] = {}
        self._waiting: dict[int, None] = {}
        """The keys of the held calls that wait for what they miss, in order of arrival."""
        self._assignment = Assignment(self._attempts)
        self._suitors: dict[int, set[int]] = {}
        """The calls that have a choice with the attempt in it."""

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._attempts) + len(self._held)

    def add_call(self, key: int, call: Observed[ApiCall], *, waits: bool) -> list[int]:
        """Hold a call and return the keys of the calls that it settles; it ``waits`` for attempts that it misses."""
        held = self._held[key] = HeldCall(key, call, waits=waits)
        if waits:
            self._waiting[key] = None
        self._look(held)
        self._assignment.place(held)
        return self._settled(held)

    def add_attempt(self, key: int, attempt: Observed[ApiCallAttempt]) -> list[int]:
        """Keep an attempt and return the keys of the calls that it settles."""
        self._attempts.add(key, attempt)
        placed: list[HeldCall] = []
        looking = 0
        for held in self._latest_waiting():
            if not _is_interested(held, attempt):
                continue
            if held.wanted == 1:
                self._court(held, with_attempt(held.chains, held.call, key, attempt))
            elif looking < _LOOKING:  # also one that has all: it may have another's for want of this
                looking += 1
                self._look(held)
            else:
                continue
            if held.missing or held.chains[0].cost < held.chain.cost:
                self._assignment.place(held)
                placed.append(held)
            # It may do without what it has now, which others may want for want of any.
            for other in self._missing_suitors(held)[:_LOOKING]:
                self._assignment.place(other)
                placed.append(other)
        return sorted({settled for held in placed for settled in self._settled(held)})

    def call(self, key: int) -> Observed[ApiCall]:
        """Return a held call."""
        return self._held[key].call

    def misses_attempts(self, key: int) -> bool:
        """Whether a held call has fewer attempts than it counts."""
        return self._held[key].missing > 0

    def owner_of(self, attempt: int) -> int | None:
        """Return the key of the held call that has an attempt, if one has."""
        owner = self._assignment.owner_of(attempt)
        return None if owner is None else owner.key

    def take_call(self, key: int) -> Choice:
        """Forget a held call and return its choice; the attempts are still to be taken."""
        held = self._held[key]
        self._assignment.look_for_doubt(held)
        if held.missing:
            self._take_what_is_free(held)
        del self._held[key]
        self._waiting.pop(key, None)
        self._forget_suit(held)
        self._assignment.disown(held)
        return Choice(held.chain.attempts, held.missing, held.ambiguous)

    def take_attempt(self, key: int) -> Observed[ApiCallAttempt]:
        """Forget an attempt and return it."""
        return self._attempts.remove(key)

    def _latest_waiting(self) -> list[HeldCall]:
        """Return the calls that came last of those that wait: an attempt comes soon after its call if not before."""
        return [self._held[key] for key in islice(reversed(self._waiting), _WAITING)]

    def _look(self, held: HeldCall) -> None:
        """Find out what choices a call has."""
        candidates = self._candidates(held)
        held.wanted = wanted_by(held.call.event, candidates.values())
        self._court(held, chains_of(held.call, candidates, wanted=held.wanted))

    def _candidates(self, held: HeldCall) -> dict[int, Observed[ApiCallAttempt]]:
        """Return the attempts that a call may choose from.

        Of a call that comes before its attempts none that was there already is its own: it would be a straggler of
        another call, whose attempt the next one would then want in turn, and so on.
        """
        return self._attempts.candidates(held.call, behind=held.key if comes_first(held.call) else -1)

    def _missing_suitors(self, held: HeldCall) -> list[HeldCall]:
        """Return the other calls that miss attempts and have a choice with one that a call has."""
        keys = {key for attempt in held.chain.attempts for key in self._suitors.get(attempt, ())}
        return [other for key in sorted(keys - {held.key}) if (other := self._held[key]).missing]

    def _court(self, held: HeldCall, chains: list[Chain]) -> None:
        self._forget_suit(held)
        held.chains = chains
        for chain in chains:
            for attempt in chain.attempts:
                self._suitors.setdefault(attempt, set()).add(held.key)

    def _forget_suit(self, held: HeldCall) -> None:
        for attempt in {attempt for chain in held.chains for attempt in chain.attempts}:
            self._suitors[attempt].discard(held.key)
            if not self._suitors[attempt]:
                del self._suitors[attempt]

    def _take_what_is_free(self, held: HeldCall) -> None:
        """Give a call that leaves whatever nobody has."""
        self._assignment.disown(held)
        candidates = self._candidates(held)
        if not candidates and held.call.event.dialect is Dialect.DOTNET:
            candidates = self._attempts.latest()  # its Latency is another's under concurrency: nothing may fit
        free = {key: attempt for key, attempt in candidates.items() if self._assignment.owner_of(key) is None}
        chain = chains_of(held.call, free, wanted=held.wanted)[0]
        if len(chain.attempts) > len(held.chain.attempts):
            held.chain = chain

    def _settled(self, held: HeldCall) -> list[int]:
        """Return the keys of a call and of all that it competes with, in turn, if they are settled."""
        todo = [held]
        seen = {held.key}
        while todo:
            one = todo.pop()
            if one.may_do_better or len(seen) > _COMPETITORS:
                return []
            for attempt in {attempt for chain in one.chains for attempt in chain.attempts}:
                if attempt not in self._attempts:
                    continue
                if self._assignment.owner_of(attempt) is None:
                    return []
                others = self._suitors[attempt] - seen
                seen |= others
                todo += [self._held[key] for key in others]
        return sorted(seen)


def _is_interested(held: HeldCall, attempt: Observed[ApiCallAttempt]) -> bool:
    """Whether a call that waits may choose an attempt."""
    has_a_place = may_be_last(attempt.event, held.call.event) or (held.wanted > 1 and may_be_retried(attempt.event))
    return has_a_place and fits(attempt, held.call)
