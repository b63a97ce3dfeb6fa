"""What may not leave: access keys, session tokens, signatures, encoded authorization messages.

Two passes, both inside decoding, so that no event ever holds a secret:

1. By value. An error message may quote the credentials of its own request, whole or in part (senders cut messages at
   512 characters). Whatever shares 16 characters in a row with the datagram's access key or session token goes.
2. By pattern, for secrets that are not in the datagram's own fields: other people's key ids, presigned URLs, canonical
   requests, encoded authorization failure messages.

Source for the key id prefixes: "Understanding unique ID prefixes" in the AWS IAM user guide.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_PIECE = 16  # characters; long enough not to hit words, short enough that what remains of a key is useless
_PROBE = _PIECE // 2  # any run of 16 characters holds a whole aligned block of 8
_SHORT = 8  # a "secret" below this is a test's ("test", "AKID"): matched only as a whole word of free text

# A sender cuts at 512 characters, so each pattern may end early, at the end of the text.
_KEY_ID = r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|APKA|ABIA|ACCA|ASCA)(?:[A-Z0-9]{16,}|[A-Z0-9]{8,}$)"
# Session tokens are base64 of a few hundred bytes and more; these are the heads they have had since 2011.
_SESSION = r"(?<![A-Za-z0-9+/])(?:FQoG|FwoG|IQoJ|AQoD|AQoE|AgoJ|IgoJ)[A-Za-z0-9+/=_%\-]{12,}"
_VALUE = r"[^\s&<>\"',;)]+"
_NAMED = (
    r"(?i:(?P<name>x-amz-security-token|x-amz-signature|x-amz-credential|x-amz-s3session-token|aws_?access_?key_?id|"
    r"aws_?secret_?access_?key|aws_?session_?token|secret_?access_?key|session_?token|security_?token|signature|credential|"
    r"(?:encoded )?authorization (?:failure )?message)"
    r"(?P<gap>[\"']?(?:\s+is)?\s*(?:[=:]|%3D|</?[a-z]+>)\s*[\"']?))" + _VALUE
)
_ELEMENT = (
    r"(?i:<(?P<tag>AWSAccessKeyId|SignatureProvided|SecurityToken|SessionToken|SecretAccessKey|Token(?:-0)?)>)[^<]*"
)
# Prose has "bearer authentication" too: a credential holds a digit or one of base64's signs.
_BEARER = r"(?i:(?P<scheme>bearer|basic)\s+)(?=[A-Za-z._~\-]*[0-9+/=])[A-Za-z0-9._~+/=\-]{8,}"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_ELEMENT), rf"<\g<tag>>{REDACTED}"),
    (re.compile(_NAMED), rf"\g<name>\g<gap>{REDACTED}"),
    (re.compile(_BEARER), rf"\g<scheme> {REDACTED}"),
    (re.compile(_KEY_ID), REDACTED),
    (re.compile(_SESSION), REDACTED),
)
# No pattern matches without one of these, in lower case: most texts are done after some twenty substring searches, a
# tenth of the cost of the patterns.
_MARKS = (
    "x-amz-", "key", "token", "signature", "credential", "authorization", "bearer", "basic",
    "akia", "asia", "aroa", "aida", "agpa", "anpa", "anva", "apka", "abia", "acca", "asca",
    "fqog", "fwog", "iqoj", "aqod", "aqoe", "agoj", "igoj",
)  # fmt: skip


class ValueRedactor:
    """Takes one datagram's own secrets out of its texts. Lives no longer than the decoding of that datagram."""

    __slots__ = ("_joined", "_short", "_whole")

    def __init__(self, *secrets: str | None) -> None:
        known = sorted({secret for secret in secrets if secret})
        # in one text, so that many secrets cost one search; a line break is in no text that is searched for
        self._joined = "\n".join(secret for secret in known if len(secret) >= _PIECE)
        self._whole = [secret for secret in known if _SHORT <= len(secret) < _PIECE]
        self._short = "|".join(re.escape(secret) for secret in known if len(secret) < _SHORT)

    def __repr__(self) -> str:
        return "ValueRedactor(...)"

    def field(self, text: str) -> str:
        """Return ``text`` without any of the secrets, nor a 16-character piece of one."""
        if self._joined and _may_share_a_piece(text, self._joined):
            text = _without_pieces(text, self._joined)
        for secret in self._whole:
            text = text.replace(secret, REDACTED)
        return text

    def message(self, text: str) -> str:
        """Return free text without the secrets, by value and by pattern."""
        text = self.field(text)
        if self._short:
            text = re.sub(rf"(?<!\w)(?:{self._short})(?!\w)", REDACTED, text)
        return without_patterns(text)


def without_patterns(text: str) -> str:
    """Return ``text`` with whatever looks like a credential replaced."""
    lower = text.lower()
    if not any(mark in lower for mark in _MARKS):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _may_share_a_piece(text: str, secret: str) -> bool:
    return any(text[at : at + _PROBE] in secret for at in range(0, len(text) - _PROBE + 1, _PROBE))


def _without_pieces(text: str, secret: str) -> str:
    kept: list[str] = []
    at = 0
    while at < len(text):
        if text[at : at + _PIECE] in secret and len(text) - at >= _PIECE:
            length = _PIECE
            while at + length < len(text) and text[at : at + length + 1] in secret:
                length += 1
            kept.append(REDACTED)
            at += length
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)
