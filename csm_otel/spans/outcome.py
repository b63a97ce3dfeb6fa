"""What an event's result means: its ``error.type`` and the message beside it.

An HTTP status alone is a fact, an exception is the sender's own word for it and is preferred; a redirect or a 304 is no
failure. Source: span-mapping, Outcome.
"""

from __future__ import annotations

from typing import NamedTuple

from csm_otel.events import Event, Failure

UNNAMED = "_OTHER"  # the conventions' fallback value of error.type

_REDIRECT, _ERROR = 300, 400


class Outcome(NamedTuple):
    """How an event ended; an empty `error_type` is no failure."""

    error_type: str
    failure: Failure | None
    """The exception that the sender named for it, if it did."""
    is_inherited: bool = False
    """Whether it is the last attempt's, for a call whose own datagram says nothing."""

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return bool(self.error_type)


_NO_FAILURE = Outcome("", None)


def outcome_of(event: Event) -> Outcome:
    """Return how a call or attempt ended, by its own datagram alone."""
    aws, sdk, status = event.aws_exception, event.sdk_exception, event.status
    aws_name, sdk_name = aws.name if aws else "", sdk.name if sdk else ""
    failed_or_unknown = status is None or status >= _ERROR
    if status is not None and _REDIRECT <= status < _ERROR and not sdk_name:
        return _NO_FAILURE
    if aws_name and failed_or_unknown:
        return Outcome(aws_name, aws)
    if sdk_name:
        return Outcome(sdk_name, sdk)
    if failed_or_unknown and not aws_name and (aws or sdk):
        # PHP's empty names, C++'s messages without a name
        return Outcome(UNNAMED, aws if aws and aws.message else sdk or aws)
    if status is not None and status >= _ERROR:
        return Outcome(str(status), None)
    if aws_name:
        return Outcome(aws_name, aws)  # an error body inside a 200
    return _NO_FAILURE
