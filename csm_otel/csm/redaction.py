"""Text in, the same text without access keys, session tokens, signatures and encoded authorization messages out.

Two passes, both within decoding, so that no event ever holds a secret:

1. By value. An error message may quote the credentials of its own request, whole or in part (senders cut messages at
   512 characters). Every run of 16 characters shared with the datagram's access key or session token is redacted;
   overlapping runs are redacted as one.
2. By pattern, for secrets that are not in the datagram's own fields: key ids of others, presigned URLs, canonical
   requests, encoded authorization failure messages.

Source for the key id prefixes: "Understanding unique ID prefixes" in the AWS IAM user guide.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_PIECE_CHARS = 16  # long enough not to match words, short enough that the rest of a key is useless
_BLOCK_CHARS = _PIECE_CHARS // 2  # any run of 16 characters contains a whole aligned block of 8
# Characters of text times characters of secrets in one datagram. Beyond it the pieces are put into a set, a cost that
# ordinary datagrams never pay. The slowest substring search takes 5 ns for eight of these.
_MAX_SEARCHED = 1 << 23
_MAX_SINGLE_SEARCHES = 8  # more secrets than that are found through a set of all substrings of their length
_MIN_CREDENTIAL_CHARS = 12  # a key id cut after its prefix and eight more characters
_MIN_SECRET_CHARS = 8  # a shorter "secret" is a test's ("test", "AKID"): matched as a whole word of free text only

# Senders cut messages at 512 characters, so each pattern may end early, at the end of the text.
_KEY_ID_PREFIXES = ("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ANVA", "APKA", "ABIA", "ACCA", "ASCA")
_KEY_ID = rf"(?<![A-Za-z0-9])(?:{'|'.join(_KEY_ID_PREFIXES)})(?:[A-Z0-9]{{16,}}|[A-Z0-9]{{8,}}$)"
# Session tokens are base64 of at least a few hundred bytes; these are their first characters since 2011.
_SESSION_PREFIXES = ("FQoG", "FwoG", "IQoJ", "AQoD", "AQoE", "AgoJ", "IgoJ")
_SESSION = rf"(?<![A-Za-z0-9+/])(?:{'|'.join(_SESSION_PREFIXES)})[A-Za-z0-9+/=_%\-]{{12,}}"
_VALUE = r"[^\s&<>\"',;)]+"
# The lookahead, with the first letters of all names, halves the time.
_NAMED = (
    r"(?i:(?=[acesx])(?P<name>x-amz-security-token|x-amz-signature|x-amz-credential|x-amz-s3session-token|aws_?access_?key_?id|"
    r"aws_?secret_?access_?key|aws_?session_?token|secret_?access_?key|session_?token|security_?token|signature|credential|"
    r"(?:encoded )?authorization (?:failure )?message)"
    r"(?P<gap>[\"']?(?:\s+is)?\s*(?:[=:]|%3D|</?[a-z]+>)\s*[\"']?))" + _VALUE
)
_ELEMENT = (
    r"(?i:<(?P<tag>AWSAccessKeyId|SignatureProvided|SecurityToken|SessionToken|SecretAccessKey|Token(?:-0)?)>)[^<]*"
)
# Not "bearer authentication": a credential contains a digit or a symbol of base64.
_BEARER = r"(?i:(?P<scheme>bearer|basic)\s+)(?=[A-Za-z._~\-]*[0-9+/=])[A-Za-z0-9._~+/=\-]{8,}"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_ELEMENT), rf"<\g<tag>>{REDACTED}"),
    (re.compile(_NAMED), rf"\g<name>\g<gap>{REDACTED}"),
    (re.compile(_BEARER), rf"\g<scheme> {REDACTED}"),
    (re.compile(_KEY_ID), REDACTED),
    (re.compile(_SESSION), REDACTED),
)
# No pattern matches a text without one of these in lower case: a prefilter that costs a tenth of the patterns.
_PREFIXES = _KEY_ID_PREFIXES + _SESSION_PREFIXES
_KEYWORDS = (
    "x-amz-", "key", "token", "signature", "credential", "authorization", "bearer", "basic",
    *(prefix.lower() for prefix in _PREFIXES),
)  # fmt: skip
# In a text like this, as a request id, nothing but the prefixes begins a match: all other patterns need what separates
# words, or something after a "=".
_ONE_WORD = re.compile(r"[A-Za-z0-9+/_\-]*=?")
HEX_AND_DASHES = "0123456789abcdef-"
"""What most request ids consist of."""
_HEX_PIECE = re.compile(f"[{HEX_AND_DASHES}]{{{_PIECE_CHARS}}}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WORD = re.compile(r"\w")
_WORD_START = re.compile(r"(?<!\w)")


def clean(text: str) -> str:
    """Remove control characters and lone surrogates; tabs and line breaks become spaces."""
    if text.isprintable():
        return text.strip()
    return _UNPRINTABLE.sub(lambda found: " " if found[0] in "\t\n\r" else "", text).strip()


class ValueRedactor:
    """Redacts the secrets of one datagram in its texts, both cleaned. Never outlives the decoding of that datagram.

    The sender controls both texts and secrets, so the work is linear in their sum, not in their product.
    """

    __slots__ = ("_by_length", "_core", "_joined", "_medium", "_pieces", "_searched", "_secrets", "_short")

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = secrets
        self._joined: str | None = None
        """All long secrets, so that many cost one search: no text that is searched contains the line break."""
        # the rest on demand, as most datagrams have only known texts

    def __repr__(self) -> str:
        return "ValueRedactor(...)"

    def redact_values(self, text: str) -> str:
        """Return ``text`` without the secrets and without any 16-character piece of them."""
        joined = self._joined if self._joined is not None else self._prepare()
        if joined and self._core in text and self._may_share_a_piece(text, joined):
            text = self._redact_pieces(text, joined)
        few = len(self._medium) <= _MAX_SINGLE_SEARCHES
        for secret in self._medium if few else self._secrets_in(text, self._medium):
            text = text.replace(secret, REDACTED)
        return text

    def redact_name(self, text: str) -> str:
        """Return an id, a name or an address, redacted by value and, if long enough for a credential, by pattern."""
        text = self.redact_values(text)
        return text if len(text) < _MIN_CREDENTIAL_CHARS else redact_patterns(text)

    def redact_message(self, text: str) -> str:
        """Return free text, redacted by value and by pattern."""
        text = self.redact_values(text)
        if self._short and (words := self._secrets_in(text, self._short)):
            text = _redact_words(text, words)
        return redact_patterns(text)

    @property
    def fingerprint(self) -> int:
        """A hash of the secrets, from which they cannot be computed: it is randomized, and shorter."""
        return hash(self._secrets)

    @property
    def spares_hex(self) -> bool:
        """Whether no text of `HEX_AND_DASHES` is ever changed by `redact_name`: each pattern needs another letter."""
        joined = self._joined if self._joined is not None else self._prepare()
        return not _HEX_PIECE.search(joined) and all(secret.strip(HEX_AND_DASHES) for secret in self._medium)

    def _prepare(self) -> str:
        # what all pieces of the long secrets have in common, if it is long enough to be rare
        self._core = ""
        self._medium: list[str] = []
        self._short: list[str] = []
        self._searched = 0
        self._pieces: set[str] | None = None
        self._by_length: dict[int, set[str]] | None = None
        long = []
        for secret in sorted({clean(secret) for secret in self._secrets if secret}):
            if len(secret) >= _PIECE_CHARS:
                long.append(secret)
            elif len(secret) >= _MIN_SECRET_CHARS:
                self._medium.append(secret)
            elif secret:
                self._short.append(secret)
        self._joined = "\n".join(long)
        if len(long) == 1 and len(self._joined) <= _PIECE_CHARS + _BLOCK_CHARS:
            self._core = self._joined[-_PIECE_CHARS:_PIECE_CHARS]  # of an access key the 5th to the 16th character
        return self._joined

    def _may_share_a_piece(self, text: str, joined: str) -> bool:
        self._searched += len(text) * len(joined)
        if self._searched > _MAX_SEARCHED:
            return True
        # a hot path: a loop is cheaper than any()
        for at in range(0, len(text) - _BLOCK_CHARS + 1, _BLOCK_CHARS):  # ruff: ignore[reimplemented-builtin]
            if text[at : at + _BLOCK_CHARS] in joined:
                return True
        return False

    def _redact_pieces(self, text: str, joined: str) -> str:
        if self._pieces is None:
            self._pieces = set(_windows(joined, _PIECE_CHARS))
        kept: list[str] = []
        done = 0
        for at, piece in enumerate(_windows(text, _PIECE_CHARS)):
            if piece in self._pieces:
                # a piece that overlaps the previous one extends the redacted range
                if at >= done:
                    kept += text[done:at], REDACTED
                done = at + _PIECE_CHARS
        return "".join(kept) + text[done:]

    def _secrets_in(self, text: str, secrets: list[str]) -> list[str]:
        """Return those of the short or of the medium secrets that a text contains, sorted."""
        if len(secrets) <= _MAX_SINGLE_SEARCHES:
            return [secret for secret in secrets if secret in text]
        if self._by_length is None:
            self._by_length = {}
            for secret in self._short + self._medium:
                self._by_length.setdefault(len(secret), set()).add(secret)
        found: set[str] = set()
        for length in range(1, _MIN_SECRET_CHARS) if secrets is self._short else range(_MIN_SECRET_CHARS, _PIECE_CHARS):
            if known := self._by_length.get(length):
                found |= known.intersection(_windows(text, length))
        return sorted(found)


def redact_patterns(text: str) -> str:
    """Return ``text`` with everything that looks like a credential redacted."""
    keywords, searched = (_PREFIXES, text) if _ONE_WORD.fullmatch(text) else (_KEYWORDS, text.lower())
    # a hot path: a loop is cheaper than any()
    for keyword in keywords:
        if keyword in searched:
            break
    else:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _windows(text: str, length: int) -> list[str]:
    """Return all substrings of this length, in order."""
    return [text[at : at + length] for at in range(len(text) - length + 1)]


def _redact_words(text: str, words: list[str]) -> str:
    """Return ``text`` with these words redacted where they stand alone; of two that begin together, the shorter."""
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
