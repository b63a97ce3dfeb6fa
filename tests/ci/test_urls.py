"""Addresses of repositories and pages."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.ci.urls import Repository, page_url, repository_of


@pytest.mark.parametrize(
    ("text", "url"),
    [
        pytest.param("https://ci.example/job/1/", "https://ci.example/job/1/", id="plain"),
        pytest.param("http://ci.example:8080/job", "http://ci.example:8080/job", id="port"),
        pytest.param("https://user:secret@ci.example/job", "https://ci.example/job", id="credentials"),
        pytest.param("https://secret@ci.example/job", "https://ci.example/job", id="user"),
        pytest.param("https://ci.example/job?token=secret#secret", "https://ci.example/job", id="query"),
        pytest.param("https://u:s@[fd00::1]:81/x", "https://[fd00::1]:81/x", id="ipv6"),
        pytest.param("https://user:12/34@ci.example/x", "", id="slash-in-password"),
        pytest.param("https://secret?34@ci.example/x", "", id="question-mark-in-user"),
        pytest.param("https://user:12#34@ci.example/x", "", id="hash-in-password"),
        pytest.param("https://user%3Asecret%40ci.example/x", "", id="escaped-credentials"),
        pytest.param("https://user:12/34%40ci.example/x", "", id="slash-in-escaped-credentials"),
        pytest.param("https://ci.example/job\nsecret", "", id="line-end"),
        pytest.param("https://[fd00/x", "", id="malformed-host"),
        pytest.param("https://ci.example:port/x", "", id="malformed-port"),
        pytest.param("ssh://git@ci.example/x", "", id="other-scheme"),
        pytest.param("", "", id="empty"),
    ],
)
def test_page_url(text: str, url: str) -> None:
    """An address keeps what leads to the page."""
    assert page_url(text) == url


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        pytest.param(
            "https://github.com/acme/etl.git",
            Repository("https://github.com/acme/etl", "acme", "etl", "github"),
            id="https",
        ),
        pytest.param(
            "https://gitlab-ci-token:secret@gitlab.com/acme/data/etl.git",
            Repository("https://gitlab.com/acme/data/etl", "acme/data", "etl", "gitlab"),
            id="credentials",
        ),
        pytest.param("git@github.com:acme/etl.git", Repository("", "acme", "etl", "github"), id="scp"),
        pytest.param("ssh://git@git.example:7999/acme/etl.git", Repository("", "acme", "etl", ""), id="ssh"),
        pytest.param("git@[fd00::1]:acme/etl.git", Repository("", "acme", "etl", ""), id="scp-ipv6"),
        pytest.param("git@git.example:acme/etl?token=secret", Repository(), id="scp-query"),
        pytest.param("https://user:12/34%40git.example/etl", Repository(), id="escaped-credentials"),
        pytest.param("https:\\\\user:secret@git.example:81/etl", Repository(), id="backslashes"),
        pytest.param("codecommit::us-east-1://profile@etl", Repository(), id="remote-helper"),
        pytest.param("codecommit::us-east-1://etl", Repository(), id="remote-helper-without-user"),
        pytest.param("file:///srv/git/etl.git", Repository(), id="file"),
        pytest.param("C:\\git\\etl", Repository(), id="drive"),
        pytest.param("/srv/git/etl", Repository(), id="path"),
        pytest.param("", Repository(), id="empty"),
    ],
)
def test_repository_of(text: str, repository: Repository) -> None:
    """Owner and name are those of the path; only an address of a page is an address."""
    assert repository_of(text) == repository


_TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(user=_TEXTS, password=_TEXTS)
def test_credentials_are_never_kept(user: str, password: str) -> None:
    """Whatever user and password are, the address is that without them, or is not used at all."""
    for scheme in ("https", "ssh"):
        without = repository_of(f"{scheme}://git.example/a/b.git")

        assert without.name == "b"
        for credentials in (f"{user}:{password}@", quote(f"{user}:{password}@", safe=""), f"{user}:{password}%40"):
            assert repository_of(f"{scheme}://{credentials}git.example/a/b.git") in (without, Repository())
    assert repository_of(f"{user}:{password}@git.example:a/b.git") in (Repository("", "a", "b"), Repository())
