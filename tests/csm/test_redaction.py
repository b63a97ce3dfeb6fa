"""Redaction of secrets, by value and by pattern."""

from __future__ import annotations

import re

import pytest
import strategies
from datagrams import TOKEN
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.csm.redaction import REDACTED, ValueRedactor, redact_patterns

KEY = "AKIAIOSFODNN7EXAMPLE"
OTHER_KEY = "ASIAY34FZKBOKMUTVV7A"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNATURE = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
SENT_BY_THE_SDKS = 512  # characters; where messages are cut

HARMLESS = [
    pytest.param("The security token included in the request is expired", id="ExpiredToken"),
    pytest.param("The provided token has expired.", id="ExpiredToken-s3"),
    pytest.param("The security token included in the request is invalid.", id="InvalidClientTokenId"),
    pytest.param("The provided token is malformed or otherwise invalid.", id="InvalidToken"),
    pytest.param("The AWS Access Key Id you provided does not exist in our records.", id="InvalidAccessKeyId"),
    pytest.param("The AWS Access Key Id needs a subscription for the service", id="OptInRequired"),
    pytest.param(
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
        id="SignatureDoesNotMatch-s3",
    ),
    pytest.param(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
        id="SignatureDoesNotMatch",
    ),
    pytest.param(
        "Signature expired: 20230101T000000Z is now earlier than 20230101T001500Z (20230101T002000Z - 5 min.)",
        id="signature-expired",
    ),
    pytest.param(
        "Signature not yet current: 20230101T002000Z is still later than 20230101T001500Z",
        id="signature-not-yet-current",
    ),
    pytest.param("Credential should be scoped to a valid region, not 'us-east-1'.", id="credential-scope"),
    pytest.param("Unable to locate credentials", id="no-credentials"),
    pytest.param("Missing Authentication Token", id="MissingAuthenticationToken"),
    pytest.param("Request is missing Authentication Token", id="MissingAuthenticationToken-sts"),
    pytest.param("Authorization header requires 'Credential' parameter.", id="IncompleteSignature"),
    pytest.param(
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        id="InvalidRequest-s3",
    ),
    pytest.param(
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        id="AuthorizationHeaderMalformed",
    ),
    pytest.param("Basic authentication is not supported, use bearer authentication", id="prose-about-authentication"),
    pytest.param(
        "User: arn:aws:iam::123456789012:user/etl is not authorized to perform: sts:AssumeRole on resource: "
        "arn:aws:iam::123456789012:role/ops because no identity-based policy allows the sts:AssumeRole action",
        id="AccessDenied",
    ),
    pytest.param("Access Denied", id="AccessDenied-s3"),
    pytest.param("The specified key does not exist.", id="NoSuchKey"),
    pytest.param("The specified bucket does not exist", id="NoSuchBucket"),
    pytest.param("Please reduce your request rate.", id="SlowDown"),
    pytest.param("Rate exceeded", id="ThrottlingException"),
    pytest.param(
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
        "provisioning level with the UpdateTable API.",
        id="ProvisionedThroughputExceededException",
    ),
    pytest.param("Requested resource not found: Table: orders not found", id="ResourceNotFoundException"),
    pytest.param(
        "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null",
        id="ValidationException",
    ),
    pytest.param("One or more parameter values were invalid: Missing the key id in the item", id="dynamodb-key"),
    pytest.param("The provided key element does not match the schema", id="dynamodb-schema"),
    pytest.param("Parameter token is not valid: it must be between 1 and 64 characters", id="client-token"),
    pytest.param("Alias arn:aws:kms:us-east-1:123456789012:alias/app is not found.", id="kms-alias"),
    pytest.param(
        "Key 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab' does not exist", id="kms-key"
    ),
    pytest.param(
        'Could not connect to the endpoint URL: "https://s3.eu-west-1.amazonaws.com/"', id="botocore-endpoint"
    ),
    pytest.param('Connect timeout on endpoint URL: "http://10.0.0.1:80/b?list-type=2&prefix=a"', id="url-unsigned"),
    pytest.param("Region is not available in ASIA", id="a-word-that-begins-a-key-id"),
    pytest.param("No such store: ASIAPACIFIC", id="a-longer-word-that-begins-a-key-id"),
    pytest.param("ServiceUnavailable: slow  status code: 503, request id: amzn-rid-1", id="go-message"),
    pytest.param("859: unexpected token at 'not json'", id="ruby-parse-error"),
    pytest.param("undefined method `credentials' for nil:NilClass", id="ruby-no-credentials"),
    pytest.param("Unable to parse ExceptionName: ExpiredToken Message: The token is expired", id="cpp-message"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    """Real messages of AWS and the SDKs are not changed."""
    assert redact_patterns(text) == text
    assert ValueRedactor("AKIDEXAMPLE", TOKEN).redact_message(text) == text


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        pytest.param(f"User {OTHER_KEY} is not known", OTHER_KEY, "User [redacted] is not known", id="key-id"),
        pytest.param(f"({KEY})", KEY, "([redacted])", id="key-id-in-brackets"),
        pytest.param("The key ASIAY34FZKBOKMU", "Y34FZKBOKMU", "The key [redacted]", id="key-id-cut"),
        pytest.param(
            f"Credential={KEY}/20230101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={SIGNATURE}",
            SIGNATURE,
            "Credential=[redacted], SignedHeaders=host, Signature=[redacted]",
            id="authorization-header",
        ),
        pytest.param(
            f"https://b.s3.amazonaws.com/k?X-Amz-Credential={KEY}%2F2023&X-Amz-Expires=60&X-Amz-Signature={SIGNATURE}",
            SIGNATURE,
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=[redacted]&X-Amz-Expires=60&X-Amz-Signature=[redacted]",
            id="presigned-url",
        ),
        pytest.param(
            f"https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature={SIGNATURE[:20]}",
            SIGNATURE[:20],
            "https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature=[redacted]",
            id="presigned-url-cut",
        ),
        pytest.param(
            f"https://b.s3.amazonaws.com/k?AWSAccessKeyId={KEY}&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D&Expires=1",
            "vjbyPxybdZaNmGa",
            "https://b.s3.amazonaws.com/k?AWSAccessKeyId=[redacted]&Signature=[redacted]&Expires=1",
            id="presigned-url-old",
        ),
        pytest.param(
            f"canonical string: 'GET / host:x x-amz-security-token:{TOKEN} x'",
            TOKEN[:16],
            "canonical string: 'GET / host:x x-amz-security-token:[redacted] x'",
            id="canonical-request",
        ),
        pytest.param(f"token {TOKEN}", TOKEN[:16], "token [redacted]", id="session-token"),
        pytest.param(f"x {TOKEN[:40]}", TOKEN[:16], "x [redacted]", id="session-token-cut"),
        pytest.param(
            "You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q"
            "0m6XSnuUMCm-abc_DEF",
            "4GIOHlTkIaWHQD0Q",
            "You are not authorized to perform this operation. Encoded authorization failure message: [redacted]",
            id="UnauthorizedOperation",
        ),
        pytest.param(
            f"aws_secret_access_key = {SECRET_KEY}", SECRET_KEY, "aws_secret_access_key = [redacted]", id="config"
        ),
        pytest.param(
            f'{{"SecretAccessKey":"{SECRET_KEY}"}}', SECRET_KEY, '{"SecretAccessKey":"[redacted]"}', id="json"
        ),
        pytest.param(
            f"<Error><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>",
            KEY,
            "<Error><AWSAccessKeyId>[redacted]</AWSAccessKeyId></Error>",
            id="xml",
        ),
        pytest.param(
            "<Token-0>AQoDYXdzEPT//////////wEXAMPLE</Token-0>", "AQoDYXdz", "<Token-0>[redacted]</Token-0>", id="xml-s3"
        ),
        pytest.param(
            "<SignatureProvided>vjbyPxybdZaNmGa+yT272YEAiv4=</SignatureProvided>",
            "vjbyPxybdZaNmGa",
            "<SignatureProvided>[redacted]</SignatureProvided>",
            id="xml-signature",
        ),
        pytest.param("Bearer eyJhbGciOiJIUzI1NiJ9.e30", "eyJhbGci", "Bearer [redacted]", id="bearer"),
        pytest.param("basic dXNlcjpwYXNzd29yZA==", "dXNlcjpw", "basic [redacted]", id="basic"),
    ],
)
def test_secret_goes_by_pattern(text: str, secret: str, kept: str) -> None:
    """A possible credential is redacted, whole or cut, and the words around it are kept."""
    assert secret in text
    assert redact_patterns(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("-" + TOKEN + "-", "-[redacted]-", id="whole"),
        pytest.param(TOKEN[5:25], "[redacted]", id="piece"),
        pytest.param(TOKEN[30:46], "[redacted]", id="shortest-piece"),
        pytest.param(TOKEN[30:45], TOKEN[30:45], id="too-short-to-be-of-use"),
        pytest.param("a " + TOKEN[-16:] + " b " + TOKEN[:16] + " c", "a [redacted] b [redacted] c", id="two-pieces"),
        pytest.param(("x" * 500 + TOKEN)[: SENT_BY_THE_SDKS + 4], "x" * 500 + "[redacted]", id="cut-by-the-sender"),
        pytest.param(KEY + TOKEN, "[redacted][redacted]", id="side-by-side"),
        pytest.param("a " + TOKEN[4:24] + TOKEN[10:30] + " b", "a [redacted][redacted] b", id="out-of-order"),
        pytest.param("a " + "x" * 20 + TOKEN[400:] + "y", "a " + "x" * 20 + "[redacted]y", id="the-end-of-one"),
        pytest.param("", "", id="empty"),
    ],
)
def test_secret_goes_by_value(text: str, kept: str) -> None:
    """Any 16 characters in a row of a secret are redacted, in every field."""
    assert ValueRedactor(KEY, TOKEN).redact_values(text) == kept


@pytest.mark.parametrize(
    ("secret", "text", "message", "field"),
    [
        pytest.param("testing", "testing the test", "[redacted] the test", "testing the test", id="short-word"),
        pytest.param("test", "my-test, testing", "my-[redacted], testing", "my-test, testing", id="whole-words-only"),
        pytest.param("a.c", "abc a.c", "abc [redacted]", "abc a.c", id="no-pattern"),
        pytest.param("mykey123", "xmykey123x", "x[redacted]x", "x[redacted]x", id="medium"),
        pytest.param("", "nothing", "nothing", "nothing", id="empty"),
    ],
)
def test_short_secrets(secret: str, text: str, message: str, field: str) -> None:
    """A short secret such as ``test`` is redacted in free text as a word, never within a name."""
    redactor = ValueRedactor(secret)

    assert redactor.redact_message(text) == message
    assert redactor.redact_values(text) == field


@pytest.mark.parametrize(
    ("secret", "is_spared"),
    [
        pytest.param(KEY, True, id="access-key"),
        pytest.param(f"IQoJb3JpZ2luX2Vj{'deadbeef' * 2}", False, id="token-with-a-piece"),
        pytest.param("test", True, id="short"),
        pytest.param("deadbeef", False, id="medium"),
        pytest.param("deadbeefs", True, id="medium-with-another-letter"),
        pytest.param(f"x{'0' * 16}x", False, id="piece"),
        pytest.param(f"x{'0' * 15}x", True, id="less-than-a-piece"),
    ],
)
def test_hexadecimal_ids_are_spared(secret: str, *, is_spared: bool) -> None:
    """Whether ids of hexadecimal digits and dashes are never redacted follows from the secrets alone."""
    assert ValueRedactor(secret).spares_hex is is_spared


@given(secret=st.text("abf0-X", max_size=40), text=st.text("abcdf0-", max_size=60))
def test_spared_ids(secret: str, text: str) -> None:
    """Such an id then comes out unchanged."""
    redactor = ValueRedactor(secret)
    if redactor.spares_hex:
        assert redactor.redact_name(text) == text


words = st.text("AKISRQoJ01az+/=_-", max_size=60) | st.sampled_from(
    [f"x/{KEY}", f"{KEY}=", "signature==", "credential=x", "signature=", "token", "AKIA0000", "IQoJb3JpZ2luX2VjEA+/=="]
)


@given(st.lists(words, max_size=3).map("".join))
def test_a_single_word_is_redacted_like_any_text(word: str) -> None:
    """In a single word only the beginnings of credentials are looked for; within a sentence it comes out the same."""
    assert redact_patterns(f". {word}") == f". {redact_patterns(word)}"


def test_many_short_secrets() -> None:
    """Many short secrets are all found, and no others."""
    redactor = ValueRedactor(*(f"s{number}" for number in range(900)))

    assert redactor.redact_message("s1 s899 s900") == f"{REDACTED} {REDACTED} s900"


class Searched(str):  # ruff: ignore[subclass-builtin] - the rest of what it does is a text's own
    """A text that counts the characters searched in it."""

    __slots__ = ("characters",)
    characters: int

    def __contains__(self, key: object, /) -> bool:
        """Count and search."""
        self.characters += len(self)
        return str(key) in str(self)


def test_searching_is_bounded() -> None:
    """The characters searched are bounded, however long a secret and the texts of its datagram are."""
    redactor = ValueRedactor("a" * 30_000)
    searched = redactor._joined = Searched(redactor._prepare())
    searched.characters = 0

    for text in ["aaaabaaa" * 256, "a" * 2_048] * 8:
        assert redactor.redact_values(text) == (text if "b" in text else REDACTED)
    assert searched.characters <= 1 << 20, "32,768 characters in blocks of 8: 122 million, one by one"


SMALL = st.text("ab", min_size=16, max_size=60)


@given(secrets=st.lists(SMALL, min_size=1, max_size=3), text=st.text("abc", max_size=200), data=st.data())
def test_pieces_by_definition(secrets: list[str], text: str, data: st.DataObject) -> None:
    """Exactly those characters are redacted that are part of 16 in a row of a secret."""
    for _ in range(data.draw(st.integers(0, 4))):
        secret = data.draw(st.sampled_from(secrets))
        at, start = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(secret)))
        text = text[:at] + secret[start : start + data.draw(st.integers(10, 40))] + text[at:]

    assert ValueRedactor(*secrets).redact_values(text) == by_definition(text, secrets)


def by_definition(text: str, secrets: list[str]) -> str:
    """Return ``text`` with one marker for each maximal run of overlapping pieces."""
    starts = [at for at in range(len(text) - 15) if any(text[at : at + 16] in secret for secret in secrets)]
    gone = {at + offset for at in starts for offset in range(16)}
    marked = {at for at in starts if not any(other < at < other + 16 for other in starts)}
    return "".join(REDACTED if at in marked else "" if at in gone else letter for at, letter in enumerate(text))


@st.composite
def quoted(draw: st.DrawFn, secrets: st.SearchStrategy[str]) -> tuple[list[str], str]:
    """Return a few secrets, or many, and a text with some of them in it."""
    known = draw(st.lists(secrets, min_size=1, max_size=4) | st.lists(secrets, min_size=12, max_size=20, unique=True))
    return known, "".join(draw(st.lists(st.sampled_from([*known, "a", "b", ".", " "]), max_size=20)))


@given(quoted(st.text("ab.", min_size=1, max_size=7)))
def test_short_secrets_by_definition(quoted: tuple[list[str], str]) -> None:
    """Few or many, short secrets are redacted as whole words, the shorter of two that begin together."""
    secrets, text = quoted
    expected = re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(secrets)))})(?!\w)", REDACTED, text)

    assert ValueRedactor(*secrets).redact_message(text) == expected


@given(quoted(st.text("ab", min_size=8, max_size=15)))
def test_medium_secrets_by_definition(quoted: tuple[list[str], str]) -> None:
    """Few or many, secrets shorter than a piece are redacted everywhere."""
    secrets, expected = quoted
    text = expected
    for secret in sorted(set(secrets)):
        expected = expected.replace(secret, REDACTED)

    assert ValueRedactor(*secrets).redact_values(text) == expected


def test_repr_holds_nothing() -> None:
    """The repr of a redactor holds no secret."""
    assert repr(ValueRedactor(KEY, TOKEN)) == "ValueRedactor(...)"


@given(
    secret=strategies.tokens,
    before=st.text(max_size=40),
    after=st.text(max_size=40),
    start=st.integers(0, 200),
    length=st.integers(16, 300),
)
def test_no_piece_survives(secret: str, before: str, after: str, start: int, length: int) -> None:
    """Wherever a text quotes a secret, no 16 characters of it are left."""
    text = before + secret[min(start, len(secret) - 16) :][:length] + after

    redacted = ValueRedactor(KEY, secret).redact_message(text)

    assert not strategies.holds_piece(redacted, [secret])


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """Redaction is idempotent."""
    once = redact_patterns(text)

    assert redact_patterns(once) == once


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("AKIAY34FZKBOKMUTVV7A", REDACTED, id="key"),
        pytest.param("AKIAY34FZKBO", REDACTED, id="cut-to-what-a-pattern-knows"),
        pytest.param("AKIAY34FZKB", "AKIAY34FZKB", id="cut-to-what-is-useless"),
        pytest.param("IQoJb3JpZ2luX2VjEPTO", REDACTED, id="token"),
        pytest.param(
            "b.s3.amazonaws.com/k?X-Amz-Signature=0123456789abcdef",
            f"b.s3.amazonaws.com/k?X-Amz-Signature={REDACTED}",
            id="presigned",
        ),
        pytest.param("b.s3.eu-west-1.amazonaws.com", "b.s3.eu-west-1.amazonaws.com", id="host-name"),
        pytest.param("6bbefeea-f58f-47cf-83b8-bab78d52af5c", "6bbefeea-f58f-47cf-83b8-bab78d52af5c", id="request-id"),
        pytest.param("test", "test", id="short-secret-stays"),
    ],
)
def test_ids_and_names(text: str, kept: str) -> None:
    """Ids, names and addresses are redacted by pattern too."""
    assert ValueRedactor("test").redact_name(text) == kept
