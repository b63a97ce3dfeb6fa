"""examples/systemd-timer under a real systemd, examples/cron by a real cron."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2e.programs import SENDER
from interop.debian import why_not
from interop.user_manager import UserManager, substituted
from otlp_backend import DEADLINE_SECONDS, HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = str(Path(sys.executable).with_name("csm-otel"))
ENDPOINT = "http://localhost:4318"
# Of its own: no file of this machine's cron is read, and none is left.
CRON = """
mount -t tmpfs none /run && mount -t tmpfs none /var/spool/cron && mount -t tmpfs none /etc/cron.d &&
mount --bind /dev/null /etc/crontab && install -d -m 1730 -g crontab /var/spool/cron/crontabs &&
crontab -u root crontab && exec cron -f
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own needs root")


def needs(program: str) -> pytest.MarkDecorator:
    """Mark a test that needs one of Debian's programs."""
    return pytest.mark.skipif(bool(why_not(program)), reason=str(why_not(program)))


@pytest.fixture
def folder() -> Generator[Path]:
    """Yield an empty folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="job-") as name:
        yield Path(name)


def add_job(folder: Path, *, code: int) -> str:
    """Write a job that makes a call, and return its path."""
    path = folder / "nightly-etl"
    path.write_text(f"#!/bin/sh\necho loaded\n{sys.executable} {SENDER} exit {code}\n")
    path.chmod(0o755)
    return str(path)


def changes(folder: Path, backend: HttpBackend, *, code: int) -> dict[str, str]:
    """Return what has to be changed in an example to run here."""
    job = add_job(folder, code=code)
    return {"/opt/csm-otel/bin/csm-otel": PROGRAM, "/usr/local/bin/nightly-etl": job, ENDPOINT: backend.endpoint}


def names(backend: HttpBackend) -> list[str]:
    """Return the names of the spans that have come."""
    return sorted(span.name for span in backend.spans)


@as_root
@needs("systemd-analyze")
def test_the_timer(folder: Path) -> None:
    """The timer starts the service, whose calls arrive under the job's name; a job's failure is the service's."""
    manager = UserManager(folder)
    example = EXAMPLES / "systemd-timer"
    with HttpBackend() as backend, manager.running():
        replaced = {**changes(folder, backend, code=0), "User=etl\n": ""}
        manager.add("nightly-etl.service", substituted((example / "nightly-etl.service").read_text(), replaced))
        soon = {"OnCalendar=02:00": "OnActiveSec=0", "RandomizedDelaySec=5min": "AccuracySec=1s"}
        manager.add("nightly-etl.timer", substituted((example / "nightly-etl.timer").read_text(), soon))
        manager.systemctl("daemon-reload")
        manager.systemctl("start", "nightly-etl.timer")
        wait_until(lambda: names(backend))
        manager.systemctl("stop", "nightly-etl.timer")
        wait_until(lambda: manager.show("nightly-etl.service", "ActiveState") == ["inactive"])
        assert manager.show("nightly-etl.service", "Result", "ExecMainStatus") == ["success", "0"]
        assert {"nightly-etl", "S3.ListBuckets", "S3.ListBuckets attempt"} == set(names(backend))
        resource = backend.requests[0].resource_spans[0].resource
        assert ("service.name", "nightly-etl") in {(one.key, one.value.string_value) for one in resource.attributes}

        add_job(folder, code=7)
        with pytest.raises(AssertionError, match=r"nightly-etl\.service failed"):
            manager.systemctl("start", "nightly-etl.service")
        assert manager.show("nightly-etl.service", "Result", "ExecMainStatus") == ["exit-code", "7"]


@needs("systemd-analyze")
def test_the_units_are_understood(folder: Path) -> None:
    """Each line is known to systemd."""
    for path in (EXAMPLES / "systemd-timer").glob("nightly-etl.*"):
        text = path.read_text(encoding="utf-8").replace("/opt/csm-otel/bin/csm-otel", "/bin/true")
        (folder / path.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *folder.glob("nightly-etl.*")], check=False, capture_output=True, text=True,
        timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    assert "nightly-etl" not in done.stdout + done.stderr
    assert done.returncode == 0


@as_root
@needs("cron")
def test_cron(folder: Path) -> None:
    """Cron runs the line in its own poor environment; the calls arrive, and are in the file."""
    home = folder / "home"
    home.mkdir()
    with HttpBackend() as backend:
        # At once instead of at night, and not in root's own folder.
        here = {**changes(folder, backend, code=0), "15 2 * * * ": "@reboot ", "$HOME": str(home)}
        (folder / "crontab").write_text(substituted((EXAMPLES / "cron/crontab").read_text(encoding="utf-8"), here))
        with subprocess.Popen(["unshare", "--mount", "sh", "-c", CRON], cwd=folder) as cron:
            try:
                wait_until(lambda: cron.poll() is not None or len(names(backend)) >= 3)
                wait_until(lambda: cron.poll() is not None or has_ended(home / "nightly-etl.calls"))
            finally:
                cron.terminate()
        assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt", "nightly-etl"]


def has_ended(calls: Path) -> bool:
    """Return whether what csm-otel prints at its end has been written."""
    return calls.exists() and "delivered to" in calls.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", [0, 7])
def test_what_cron_would_mail(folder: Path, code: int) -> None:
    """By the line as it is, in the same environment, the output and the exit code are the job's alone."""
    with HttpBackend() as backend:
        text = substituted((EXAMPLES / "cron/crontab").read_text(encoding="utf-8"), changes(folder, backend, code=code))
        (line,) = [line.partition("* * * ")[2] for line in text.splitlines() if line.startswith("15 2 ")]
        variables = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("OTEL_"))
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env={"HOME": str(folder), "LOGNAME": "etl", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", **variables},
            capture_output=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        assert len(names(backend)) == 3
    assert (done.returncode, done.stdout, done.stderr) == (code, b"loaded\n", b"")
    assert has_ended(folder / "nightly-etl.calls")
