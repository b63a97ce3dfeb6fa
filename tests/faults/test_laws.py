"""The laws of the soak's fuzzing hold for its seed inputs, and for damaged ones; if broken, they fail."""

from __future__ import annotations

import random

import pytest

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm import decoding
from csm_otel.csm.redaction import ValueRedactor
from soak import laws
from soak.loads import captured
from soak.traffic import damaged


def test_decoding_keeps_its_laws_on_sdk_datagrams() -> None:
    """Real SDKs' datagrams are decoded, their secrets are removed, and the events survive a recording."""
    for payload in captured():
        laws.decoding(payload)


def test_decoding_keeps_its_laws_on_damage() -> None:
    """So are datagrams with bytes changed, cut out or doubled."""
    for payload in damaged(captured(), 3000):
        laws.decoding(payload)


def test_the_correlator_keeps_its_laws() -> None:
    """Calls with their attempts, and any bytes read as such, are released exactly once."""
    rng = random.Random(1)
    for script in (*laws.scripts(), *(rng.randbytes(rng.randrange(600)) for _ in range(200))):
        laws.correlator(script)


def test_a_secret_that_gets_past_decoding_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can fail: without redaction a quoted key is found."""
    secret = "AKIAIOSFODNN7EXAMPLE"
    payload = b'{"Type":"ApiCallAttempt","Api":"A","AccessKey":"%b","AwsExceptionMessage":"no %b"}' % (
        (secret.encode(),) * 2
    )
    laws.decoding(payload)
    monkeypatch.setattr(decoding, "ValueRedactor", lambda *_: ValueRedactor())
    monkeypatch.setattr(ValueRedactor, "redact_message", lambda _, text: text)
    with pytest.raises(AssertionError, match="a secret got past decoding"):
        laws.decoding(payload)


def test_an_event_that_is_not_released_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can fail: an incomplete flush is noticed."""
    monkeypatch.setattr(Correlator, "flush", lambda _: [])
    with pytest.raises(AssertionError, match="lost or doubled"):
        laws.correlator(next(script for script in laws.scripts())[:18])
