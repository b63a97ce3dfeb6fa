"""The request of `flush` to a daemon, and its reading of the answer. Real daemons are in tests/e2e/test_flush.py."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from service.answering import answering

from csm_otel.commands.flush import flush
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
