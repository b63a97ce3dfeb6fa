"""Rules for faults: which request fails, how and how often.

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
    """A fault, the requests that it applies to, and how often.

    Raises:
        ValueError: The kind is unknown.

    """

    kind: Kind
    """error: ``status``, ``code``, ``message``. throttle, denied, missing: the service's own error for that.
    reset: TCP reset. close: closed without an answer. hold: silence, then closed. delay: silence, then forwarded."""
    operation: str = "*"
    """A glob for `Answer.operation`, as are ``path`` (without query string) and ``method``. All three must match."""
    path: str = "*"
    method: str = "*"
    after: int = 0
    """How many matching requests are forwarded first."""
    times: int | None = 1
    """How many of the following ones fail; None: all."""
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
        """Return whether the rule matches the request."""
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
    """Rules in order, with the number of requests that each has matched. Thread-safe."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._seen = [0] * len(self._rules)
        self._lock = threading.Lock()

    def take(self, request: Request) -> Rule | None:
        """Return the first active rule that matches; a rule counts only requests to which none before it applied."""
        with self._lock:
            for place, rule in enumerate(self._rules):
                if rule.fits(request):
                    self._seen[place] += 1
                    turn = self._seen[place] - rule.after
                    if turn > 0 and (rule.times is None or turn <= rule.times):
                        return rule
        return None
