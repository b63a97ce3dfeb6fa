"""The request of `flush` to a daemon, and its reading of the answer. Real daemons are in tests/e2e/test_flush.py."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from loopback import answering_once
from service.answering import answering
from service.health_runs import running_health

from csm_otel.commands import flush as flush_module
from csm_otel.commands.flush import flush
from csm_otel.config.setting import Address
from csm_otel.config.settings import Settings
from csm_otel.errors import ControlError, SettingsError
from csm_otel.process.speaker import Speaker
from csm_otel.tally import Snapshot

COUNTS = dict.fromkeys(Snapshot._fields, 0) | {"datagrams_received": 3}


def answer(**fields: Any) -> bytes:
    """Return a daemon's answer: its counts, and these fields."""
    return json.dumps({**COUNTS, **fields}).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "code", "output"),
    [
        pytest.param({"delivered": True, "why_not": ""}, 0, "", id="delivered"),
        pytest.param(
            {"delivered": False, "why_not": "2 spans wait"},
            1,
            "csm-otel: not all was delivered: 2 spans wait\n",
            id="not-delivered",
        ),
    ],
)
def test_answer(
    fields: dict[str, Any], code: int, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts go to stdout, the exit code says whether all was delivered, and a line why not."""
    stream, path = io.StringIO(), tmp_path / "folder" / "sock"
    with answering(path, answer(**fields)) as asked:
        assert flush(Settings(control=path, timeout=2.5), Speaker(stream)) == code

    assert json.loads(asked[0]) == {"do": "flush", "timeout_seconds": 2.5}
    assert capsys.readouterr().out.startswith("3 datagrams received, 0 dropped by the kernel")
    assert stream.getvalue() == output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"", "does not answer", id="nothing"),
        pytest.param(b"\xff\n", "does not answer", id="no-text"),
        pytest.param(b"[]\n", "does not answer", id="no-object"),
        pytest.param(b"{}\n", "no answer to a flush", id="another-answer"),
        pytest.param(b'{"error": "unknown command"}\n', "unknown command", id="an-error"),
        pytest.param(b'{"delivered": true, "why_not": ""}\n', "no answer to a flush", id="no-counts"),
    ],
)
def test_no_answer_to_a_flush(text: bytes, why: str, tmp_path: Path) -> None:
    """Any other answer is an error with the path."""
    path = tmp_path / "folder" / "sock"
    with answering(path, text), pytest.raises(ControlError) as caught:
        flush(Settings(control=path), Speaker(io.StringIO()))

    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_switched_off() -> None:
    """If the control socket is switched off no daemon can be asked, which is a fault of the settings."""
    with pytest.raises(SettingsError, match=r"^--control: "):
        flush(Settings(control=Path("none")), Speaker(io.StringIO()))


@pytest.mark.parametrize(
    ("fields", "code", "output"),
    [
        pytest.param({"delivered": True, "why_not": ""}, 0, "", id="delivered"),
        pytest.param(
            {"delivered": False, "why_not": "\x1b[31mnot\nso\u202e"},
            1,
            "csm-otel: not all was delivered:  [31mnot so \n",
            id="not-delivered",
        ),
    ],
)
def test_over_http(fields: dict[str, Any], code: int, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --to the answer of the health port is read as that of the control socket, and printed without escapes."""
    stream = io.StringIO()
    with answering_once(b"HTTP/1.1 200 OK\r\n\r\n" + answer(**fields)) as port:
        settings = Settings(control=Path("none"), to=Address("127.0.0.1", port), timeout=2.5)
        assert flush(settings, Speaker(stream)) == code
    assert capsys.readouterr().out.startswith("3 datagrams received, 0 dropped by the kernel")
    assert stream.getvalue() == output


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"[]", "what answers there is no csm-otel, or an older one", id="no-object"),
        pytest.param(b"{}", "what answers there is no csm-otel, or an older one", id="another-object"),
        pytest.param(b'{"status": "not found"}', "what answers there is no csm-otel, or an older one", id="older"),
        pytest.param(b'{"error": "it is off"}', "it is off", id="an-error"),
        pytest.param(b'{"error": ["\\u001b[31m"]}', "['\\x1b[31m']", id="an-error-that-is-no-text"),
        pytest.param(b'{"error": "%s"}' % (b"x" * 5000), "x" * 200, id="a-long-error"),
        pytest.param(answer(delivered=1, why_not=""), "no answer to a flush", id="no-boolean"),
        pytest.param(answer(delivered=True, why_not=None), "no answer to a flush", id="no-reason"),
        pytest.param(answer(delivered=True, why_not="", calls="1"), "no answer to a flush", id="no-counts"),
    ],
)
def test_another_answer_over_http(body: bytes, why: str) -> None:
    """It is an error with the address."""
    with answering_once(b"HTTP/1.1 200 OK\r\n\r\n" + body) as port, pytest.raises(ControlError) as caught:
        flush(Settings(to=Address("127.0.0.1", port)), Speaker(io.StringIO()))
    assert str(caught.value) == f"http://127.0.0.1:{port}: {why}"


def test_a_port_that_accepts_no_flushes() -> None:
    """The line says how they are switched on."""
    with running_health() as health:
        address = Address("127.0.0.1", int(health.url.rpartition(":")[2]))
        with pytest.raises(ControlError, match=r"/?: flushing over the network is off; serve --flush-over-health$"):
            flush(Settings(to=address), Speaker(io.StringIO()))


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for a little longer than the flush may take."""
    monkeypatch.setattr(flush_module, "_GRACE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        with pytest.raises(ControlError, match=r"^no daemon answers: http://127\.0\.0\.1:\d+: no answer$"):
            flush(Settings(to=address, timeout=0.1), Speaker(io.StringIO()))
