"""The laws that the soak's fuzzing uses hold for what it begins with, and for damage to it; broken, they say so."""

from __future__ import annotations

import random

import pytest

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm import decoding
from csm_otel.csm.redaction import ValueRedactor
from soak import laws
from soak.loads import captured
from soak.traffic import damaged


def test_decoding_keeps_its_laws_on_what_sdks_send() -> None:
    """What real SDKs sent is decoded, its secrets stay behind, and the events survive a recording."""
    for payload in captured():
        laws.decoding(payload)


def test_decoding_keeps_its_laws_on_damage() -> None:
    """So is what is left of it after bytes were changed, cut out or doubled."""
    for payload in damaged(captured(), 3000):
        laws.decoding(payload)


def test_the_correlator_keeps_its_laws() -> None:
    """Calls with their attempts, and any bytes read as such, leave exactly once."""
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
    monkeypatch.setattr(decoding, "_redactor", lambda _: ValueRedactor())
    monkeypatch.setattr(ValueRedactor, "redact_message", lambda _, text: text)
    with pytest.raises(AssertionError, match="a secret got past decoding"):
        laws.decoding(payload)


def test_an_event_that_does_not_leave_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can fail: a flush that forgets is noticed."""
    monkeypatch.setattr(Correlator, "flush", lambda _: [])
    with pytest.raises(AssertionError, match="lost or doubled"):
        laws.correlator(next(script for script in laws.scripts())[:18])
