"""No recorded key or token is in an event or a span, not even in pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from conformance.recordings import CAPTURES, EVERYTHING, play, played, recording, trees, trees_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.packed import Recorded

    from csm_otel.spans.data import SpanData


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_secret_survives(name: str) -> None:
    """No access key, no session token and no 16 characters of either are in any event or span."""
    secrets = set(_secrets(recording(name)))
    texts = [repr(event) for event, _ in played(name).events]
    texts += [_text_of(span) for tree in trees(name) for span in tree]

    assert secrets
    assert not list(_leaks(texts, secrets))


@pytest.mark.parametrize("name", CAPTURES)
def test_no_quoted_secret_survives(name: str) -> None:
    """A server's message that quotes the attempt's own key and token, whole or cut, is redacted."""
    quoting = list(_quoting_their_secrets(recording(name)))
    result = play(quoting)
    texts = [repr(event) for event, _ in result.events]
    texts += [_text_of(span) for tree in trees_of(result) for span in tree]

    assert any("The key is [redacted]" in text for text in texts)
    assert not list(_leaks(texts, set(_secrets(quoting))))


def test_the_search_finds_secrets() -> None:
    """A text that quotes a piece of 16 characters, at any place, or a whole short key, is found."""
    secret = "FwoGZXIvYXdzEBYaDKzQhT4mVbJs9wPl"

    for at in range(len(secret) - 15):
        for padding in range(20):
            text = "." * padding + secret[at : at + 16] + "."
            assert list(_leaks([text], {secret})) == [text]
    assert not list(_leaks([secret[:15] + "." + secret[16:31]], {secret}))
    assert list(_leaks(["of myaccesskey."], {"myaccesskey"}))


def _secrets(recorded: Iterable[Recorded]) -> Iterator[str]:
    """Yield the keys and tokens of 8 characters or more: shorter ones ("TOK") are words of other texts too."""
    for datagram in recorded:
        if datagram.payload:
            sent: dict[str, Any] = json.loads(datagram.payload.decode("utf-8", "replace"))
            for secret in (sent.get("AccessKey"), sent.get("SessionToken")):
                if secret and len(secret) >= 8:
                    yield secret


def _quoting_their_secrets(recorded: Iterable[Recorded]) -> Iterator[Recorded]:
    """Yield the attempts with a key, failing with a message that quotes their key and token."""
    for datagram in recorded:
        sent: dict[str, Any] = json.loads(datagram.payload) if datagram.payload else {}
        key, token = sent.get("AccessKey") or "", sent.get("SessionToken") or ""
        if len(key) >= 8:
            message = f"The key is {key}, ({key}) of {token[-20:]} and {token[5:40]} and {token}."
            sent |= {
                "HttpStatusCode": 403,
                "AwsException": "InvalidClientTokenId",
                "AwsExceptionMessage": message[:512],
            }
            yield datagram._replace(payload=json.dumps(sent).encode())


def _text_of(span: SpanData) -> str:
    return repr((span.name, span.attributes, span.events, span.status_message, span.resource))


def _leaks(texts: Iterable[str], secrets: set[str]) -> Iterator[str]:
    """Yield each text that holds a secret; of a long one, any 16 characters in a row.

    Such a piece covers one of the blocks of 8 that begin at every 9th character of the text; a set finds these.
    """
    short = [secret for secret in secrets if len(secret) < 16]
    pieces = {secret[at : at + 16] for secret in secrets for at in range(len(secret) - 15)}
    blocks = {piece[at : at + 8] for piece in pieces for at in range(9)}
    for text in texts:
        hit = any(text[at : at + 8] in blocks for at in range(0, len(text), 9))
        if any(secret in text for secret in short) or (hit and any(piece in text for piece in pieces)):
            yield text
