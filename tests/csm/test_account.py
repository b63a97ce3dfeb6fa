"""Access key ids to accounts."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.csm.account import account_of


@pytest.mark.parametrize(
    ("access_key_id", "account"),
    [
        pytest.param("ASIAY34FZKBOKMUTVV7A", "609629065308", id="temporary"),
        pytest.param("AKIAY34FZKBOKMUTVV7A", "609629065308", id="long-term"),
        pytest.param("AKIAIOSFODNN7EXAMPLE", None, id="legacy-holds-none"),
        pytest.param("ASIAQAAAAAAAGMKEM7X5", None, id="account-zero"),
        pytest.param("AKIDEXAMPLE", None, id="not-a-real-key"),
        pytest.param("AROAY34FZKBOKMUTVV7A", None, id="not-a-key-prefix"),
        pytest.param("ASIAY34FZKBOKMUTVV7", None, id="short"),
        pytest.param("ASIAY34FZKBOKMUTVV7AA", None, id="long"),
        pytest.param("asiay34fzkbokmutvv7a", None, id="lower-case"),
        pytest.param("ASIAY34FZKBOKMUTVV7é", None, id="not-ascii"),
        pytest.param("ASIAY34FZKBOKMUTVV1A", None, id="not-base32"),
        pytest.param("ASIA" + "\ud800" * 16, None, id="surrogates"),
        pytest.param("", None, id="empty"),
    ],
)
def test_account_of_key(access_key_id: str, account: str | None) -> None:
    """A key id made since 2019 holds its account; any other holds none."""
    assert account == account_of(access_key_id)


@given(account=st.integers(1, 10**12 - 1), rest=st.binary(min_size=4, max_size=4), low=st.integers(0, 127))
def test_account_survives_encoding(account: int, rest: bytes, low: int) -> None:
    """Any account that is written into a key id is read from it, as 12 digits."""
    value = 1 << 47 | account << 7 | low
    key = "AKIA" + base64.b32encode(value.to_bytes(6, "big") + rest).decode()

    assert f"{account:012d}" == account_of(key)


@given(st.text(max_size=24))
def test_anything_has_twelve_digits_or_none(text: str) -> None:
    """No text makes it raise, and what it returns is an account id."""
    account = account_of(text)

    assert account is None or (len(account) == 12 and account.isdigit())
