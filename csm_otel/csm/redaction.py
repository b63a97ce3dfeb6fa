"""What may not leave: access keys, session tokens, signatures, encoded authorization messages.

Two passes, both inside decoding, so that no event ever holds a secret:

1. By value. An error message may quote the credentials of its own request, whole or in part (senders cut messages at
   512 characters). Whatever shares 16 characters in a row with the datagram's access key or session token goes; where
   such pieces overlap, they go as one.
2. By pattern, for secrets that are not in the datagram's own fields: other people's key ids, presigned URLs, canonical
   requests, encoded authorization failure messages.

Source for the key id prefixes: "Understanding unique ID prefixes" in the AWS IAM user guide.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_PIECE = 16  # characters; long enough not to hit words, short enough that what remains of a key is useless
_PROBE = _PIECE // 2  # any run of 16 characters holds a whole aligned block of 8
# Characters of text times characters of secrets, in one datagram: the most that is searched before a set of pieces is
# made, which ordinary datagrams never pay for. The slowest search there is takes 5 ns for eight of these.
_MAX_SEARCHED = 1 << 23
_FEW = 8  # secrets that are each worth a search; more are looked up, a text's every word of that length at once
_SHORTEST_CREDENTIAL = 12  # a key id cut to its prefix and eight more characters
_SHORT = 8  # a "secret" below this is a test's ("test", "AKID"): matched only as a whole word of free text

# A sender cuts at 512 characters, so each pattern may end early, at the end of the text.
_KEY_ID = r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|APKA|ABIA|ACCA|ASCA)(?:[A-Z0-9]{16,}|[A-Z0-9]{8,}$)"
# Session tokens are base64 of a few hundred bytes and more; these are the heads they have had since 2011.
_SESSION = r"(?<![A-Za-z0-9+/])(?:FQoG|FwoG|IQoJ|AQoD|AQoE|AgoJ|IgoJ)[A-Za-z0-9+/=_%\-]{12,}"
_VALUE = r"[^\s&<>\"',;)]+"
# The first letters, looked for first, halve the time; they are those of every name.
_NAMED = (
    r"(?i:(?=[acesx])(?P<name>x-amz-security-token|x-amz-signature|x-amz-credential|x-amz-s3session-token|aws_?access_?key_?id|"
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


_WORD = re.compile(r"\w")
_WORD_START = re.compile(r"(?<!\w)")


class ValueRedactor:
    """Takes one datagram's own secrets out of its texts. Lives no longer than the decoding of that datagram.

    Its work grows with the texts plus the secrets, not with their product: a sender chooses both.
    """

    __slots__ = ("_by_length", "_joined", "_pieces", "_searched", "_short", "_whole")

    def __init__(self, *secrets: str | None) -> None:
        known = sorted({secret for secret in secrets if secret})
        # in one text, so that many secrets cost one search; a line break is in no text that is searched for
        self._joined = "\n".join([secret for secret in known if len(secret) >= _PIECE])
        self._whole = [secret for secret in known if _SHORT <= len(secret) < _PIECE]
        self._short = [secret for secret in known if len(secret) < _SHORT]
        self._searched = 0
        # made when needed
        self._pieces: set[str] | None = None
        self._by_length: dict[int, set[str]] | None = None

    def __repr__(self) -> str:
        return "ValueRedactor(...)"

    def field(self, text: str) -> str:
        """Return ``text`` without any of the secrets, nor a 16-character piece of one."""
        if self._joined and self._may_share_a_piece(text):
            text = self._without_pieces(text)
        for secret in self._whole if len(self._whole) <= _FEW else self._those_in(text, self._whole):
            text = text.replace(secret, REDACTED)
        return text

    def name(self, text: str) -> str:
        """Return an id, a name or an address without the secrets, by value and, where one has room, by pattern."""
        text = self.field(text)
        return text if len(text) < _SHORTEST_CREDENTIAL else without_patterns(text)

    def message(self, text: str) -> str:
        """Return free text without the secrets, by value and by pattern."""
        text = self.field(text)
        if self._short and (words := self._those_in(text, self._short)):
            text = _without_words(text, words)
        return without_patterns(text)

    def _may_share_a_piece(self, text: str) -> bool:
        self._searched += len(text) * len(self._joined)
        if self._searched > _MAX_SEARCHED:
            return True
        # every text comes here, and a loop is cheaper than any()
        for at in range(0, len(text) - _PROBE + 1, _PROBE):  # ruff: ignore[reimplemented-builtin]
            if text[at : at + _PROBE] in self._joined:
                return True
        return False

    def _without_pieces(self, text: str) -> str:
        if self._pieces is None:
            self._pieces = set(_windows(self._joined, _PIECE))
        kept: list[str] = []
        done = 0
        for at, piece in enumerate(_windows(text, _PIECE)):
            if piece in self._pieces:
                # a piece that overlaps the one before lengthens what goes
                if at >= done:
                    kept += text[done:at], REDACTED
                done = at + _PIECE
        return "".join(kept) + text[done:]

    def _those_in(self, text: str, secrets: list[str]) -> list[str]:
        """Return which of the short, or of the whole, secrets are in a text, in their order."""
        if len(secrets) <= _FEW:
            return [secret for secret in secrets if secret in text]
        if self._by_length is None:
            self._by_length = {}
            for secret in self._short + self._whole:
                self._by_length.setdefault(len(secret), set()).add(secret)
        found: set[str] = set()
        for length in range(1, _SHORT) if secrets is self._short else range(_SHORT, _PIECE):
            if known := self._by_length.get(length):
                found |= known.intersection(_windows(text, length))
        return sorted(found)


def without_patterns(text: str) -> str:
    """Return ``text`` with whatever looks like a credential replaced."""
    lower = text.lower()
    # every text of any length comes here, and a loop is cheaper than any()
    for mark in _MARKS:
        if mark in lower:
            break
    else:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _windows(text: str, length: int) -> list[str]:
    """Return every ``length`` characters in a row of a text, in order."""
    return [text[at : at + length] for at in range(len(text) - length + 1)]


def _without_words(text: str, words: list[str]) -> str:
    """Return ``text`` without the words, where no letter, digit or ``_`` is before or after; of two, the shorter."""
    known = set(words)
    lengths = sorted({len(word) for word in words})
    kept: list[str] = []
    done = 0
    for start in _WORD_START.finditer(text):
        at = start.start()
        if at < done:
            continue
        for length in lengths:
            if text[at : at + length] in known and not _WORD.match(text, at + length):
                kept += text[done:at], REDACTED
                done = at + length
                break
    return "".join(kept) + text[done:]
