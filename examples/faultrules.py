"""Which request goes wrong, how and how often.

In: a `Request`. Out: the `Rule` that applies to it, the `AwsError` to answer with. No I/O.
"""

from __future__ import annotations

import dataclasses
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

from awswire import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from awswire import Request

Kind = Literal["error", "throttle", "denied", "missing", "reset", "close", "hold", "delay"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What goes wrong, for which requests, and how often.

    Raises:
        ValueError: There is no such kind.

    """

    kind: Kind
    """error: ``status``, ``code``, ``message``. throttle, denied, missing: what the service asked says then.
    reset: TCP reset. close: closed without an answer. hold: silence, then closed. delay: silence, then passed on."""
    operation: str = "*"
    """As `Answer.operation`; a glob, as are ``path`` (without query string) and ``method``. All three have to fit."""
    path: str = "*"
    method: str = "*"
    after: int = 0
    """So many fitting requests are let through first."""
    times: int | None = 1
    """So many of the next ones are hit; None: all."""
    status: int = 500
    code: str = "InternalFailure"
    message: str = "An internal failure was asked for."
    seconds: float | None = None
    """How long hold and delay last; None: until `FaultProxy.release`."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            msg = f"no such kind of fault: {self.kind}"
            raise ValueError(msg)

    def fits(self, request: Request) -> bool:
        """Tell whether the request is one that this rule is about."""
        return (
            fnmatchcase(request.operation, self.operation)
            and fnmatchcase(request.path, self.path)
            and fnmatchcase(request.method, self.method)
        )

    def error(self, request: Request) -> AwsError | None:
        """Return the error to answer with, None for a fault of the connection."""
        match self.kind:
            case "error":
                return AwsError(status=self.status, code=self.code, message=self.message)
            case "throttle":
                return AwsError.throttling(request)
            case "denied":
                return AwsError.denied(request)
            case "missing":
                return AwsError.missing(request)
            case _:
                return None


class RuleBook:
    """Rules in order, with the count of the requests that each has seen. Safe for use by many threads."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._seen = [0] * len(self._rules)
        self._lock = threading.Lock()

    def take(self, request: Request) -> Rule | None:
        """Return the first rule that fits and has its turn; a rule sees only what none before it has taken."""
        with self._lock:
            for place, rule in enumerate(self._rules):
                if rule.fits(request):
                    self._seen[place] += 1
                    turn = self._seen[place] - rule.after
                    if turn > 0 and (rule.times is None or turn <= rule.times):
                        return rule
        return None
