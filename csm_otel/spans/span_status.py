"""The result of an event: its ``error.type`` and its message.

The exception that the sender names is preferred to the HTTP status. A redirect or a 304 is not a failure.
docs/spans.md, Failures, has the rules.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from csm_otel.csm.events import Event, Failure

UNNAMED_ERROR = "_OTHER"
"""The ``error.type`` of a failure without a name: the conventions' fallback."""

_REDIRECT, _ERROR = 300, 400


class Result(NamedTuple):
    """How an event ended; `error_type` is empty for a success."""

    error_type: str
    failure: Failure | None
    """The exception that the sender named, if any."""
    is_inherited: bool = False
    """Whether it is the last attempt's, for a call whose own datagram has none."""

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return bool(self.error_type)


_NO_FAILURE = Result("", None)


def result_of(event: Event) -> Result:
    """Return the result of a call or attempt, by its own datagram alone."""
    aws, sdk, status = event.aws_exception, event.sdk_exception, event.status
    if aws is None and sdk is None:
        return _result_of_status(status)
    if status is None or status >= _ERROR:
        return _result_of_failure(aws, sdk)
    if aws and status >= _REDIRECT:
        aws = None  # the body of a redirect
    # an error in spite of the status: a reply that cannot be parsed, an error body inside a 200
    return next((Result(failure.name, failure) for failure in (sdk, aws) if failure and failure.name), _NO_FAILURE)


@lru_cache(maxsize=1024)
def _result_of_status(status: int | None) -> Result:
    return Result(str(status), None) if status is not None and status >= _ERROR else _NO_FAILURE


def _result_of_failure(aws: Failure | None, sdk: Failure | None) -> Result:
    for failure in (aws, sdk):
        if failure and failure.name:
            return Result(failure.name, failure)
    # PHP's empty names, C++'s messages without a name
    return Result(UNNAMED_ERROR, aws if aws and aws.message else sdk or aws)
