"""examples/migrating-from-iamlive: a listener of another kind hears the same with csm-otel in between as without it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from e2e.programs import SEVERAL_CALLS, environment
from otlp_backend import DEADLINE_SECONDS

EXAMPLE = Path(__file__).parents[2] / "examples/migrating-from-iamlive"
_END = b"\n"


class Listener:
    """Reads datagrams as iamlive does: each line is a JSON object, or it would crash; only calls count."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, int]] = []
        """Service, operation, region and status of each."""
        self.fault: Exception | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(_END, ("127.0.0.1", self.port))
        self._thread.join(DEADLINE_SECONDS)
        self._socket.close()

    def _run(self) -> None:
        try:
            while (datagram := self._socket.recv(65_536)) != _END:
                for line in datagram.decode().split("\n"):
                    self._add(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            self.fault = error

    def _add(self, entry: dict[str, Any]) -> None:
        if entry["Type"] == "ApiCall":
            found = entry["Service"], entry["Api"], entry.get("Region", ""), entry.get("FinalHttpStatusCode", 0)
            assert list(map(type, found)) == [str, str, str, int]  # into which Go decodes them
            self.calls.append(found)


def test_the_policies_agree(moto_port: int, tmp_path: Path) -> None:
    """The calls that the listener hears are the same, and csm-otel's own policy has the action of each."""
    script = [sys.executable, "-c", SEVERAL_CALLS]
    with Listener() as alone:
        env = environment(moto_port, AWS_CSM_ENABLED="true", AWS_CSM_PORT=str(alone.port))
        direct = subprocess.run(script, env=env, capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    with Listener() as beside:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = environment(moto_port, IAMLIVE=f"127.0.0.1:{beside.port}", PATH=path)
        both = subprocess.run(
            [EXAMPLE / "both.sh", *script],
            cwd=tmp_path, env=env, capture_output=True, check=False, timeout=DEADLINE_SECONDS,
        )  # fmt: skip
    assert (direct.returncode, direct.stdout) == (both.returncode, both.stdout) == (3, direct.stdout)
    assert len(alone.calls) == 4
    assert alone.calls == beside.calls
    assert alone.fault is beside.fault is None
    policy = json.loads((tmp_path / "policy.csm-otel.json").read_text(encoding="utf-8"))
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    # HeadBucket needs s3:ListBucket, and nothing is needed for one's own identity.
    assert actions == {"dynamodb:ListTables", "s3:ListAllMyBuckets", "s3:ListBucket"}
    assert b"forwarded by --tee" in both.stderr
