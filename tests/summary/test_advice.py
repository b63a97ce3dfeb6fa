"""Advice on errors."""

from __future__ import annotations

import pytest

from csm_otel.summary.advice import advice_on, is_denial


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param("ExpiredToken", "expired", id="expired"),
        pytest.param("AccessDenied", "do not allow", id="denied"),
        pytest.param("NoCredentialsError", "no credentials", id="no-credentials"),
        pytest.param("NoSuchBucket", "No bucket", id="bucket"),
        pytest.param("RequestTimeTooSkewed", "clock", id="clock"),
        pytest.param("EndpointConnectionError", "no connection", id="unreachable"),
        pytest.param("ThrottlingException", "rate", id="throttled"),
    ],
)
def test_advice(error: str, words: str) -> None:
    """Frequent errors have a sentence."""
    advice = advice_on(error)
    assert words in advice
    assert advice.endswith(".")


def test_no_advice() -> None:
    """Of others nothing is said."""
    assert not advice_on("ConditionalCheckFailedException")


def test_throttled_by_status() -> None:
    """A 429 without a known error is advised on as throttling."""
    assert "rate" in advice_on("429", is_throttling=True)


@pytest.mark.parametrize(("error", "expected"), [("AccessDeniedException", True), ("ExpiredToken", False), ("", False)])
def test_denial(error: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """A denial is a policy's, not a credential's."""
    assert is_denial(error) is expected
