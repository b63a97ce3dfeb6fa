"""A process as an origin: its name, program, start, container."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started
from platforms import on_linux

from csm_otel.intake.procfs.process import container_id_of, describe, read_status

ID, OTHER_ID = "0123456789abcdef" * 4, "fedcba9876543210" * 4
WAIT = "print('here', flush=True); input()"
SPAWN = "import os, time\npid = os.posix_spawn('/bin/true', ['true'], {})\nprint(pid, flush=True)\ninput()"


@on_linux
def test_a_script_goes_by_its_name(tmp_path: Path) -> None:
    """Its name is the script's and its program the interpreter; its start is the real one, to the kernel's tick."""
    script = tmp_path / "nightly.py"
    script.write_text(WAIT, encoding="utf-8")
    before_ns = time.time_ns()
    with started([sys.executable, "-u", str(script), "--key", "secret"]) as process:
        started_ns = time.time_ns()
        next_line(process.stdout)

        asked_ns = time.time_ns()
        origin = describe(process.pid)
        doubt_ns = time.time_ns() - asked_ns  # between the readings of the two clocks

    assert origin is not None
    assert (origin.pid, origin.name) == (process.pid, "nightly.py")
    assert origin.executable == Path(sys.executable).resolve().name
    assert before_ns - 20_000_000 - doubt_ns <= origin.start_ns <= started_ns
    assert "secret" not in repr(origin)


@on_linux
def test_a_program_that_was_replaced(tmp_path: Path) -> None:
    """A program goes by its own name, also after its file is gone."""
    program = tmp_path / "uploader"
    shutil.copy(shutil.which("cat") or "", program)
    with started([str(program)]) as process:
        program.unlink()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"here\n")
        process.stdin.flush()
        next_line(process.stdout)

        origin = describe(process.pid)

    assert origin is not None
    assert (origin.name, origin.executable) == ("uploader", "uploader")


@on_linux
def test_an_ended_process_is_no_origin() -> None:
    """A process that has ended is no origin, not even before it is reaped."""
    with started(python(SPAWN)) as process:
        zombie = int(next_line(process.stdout))
        end = time.monotonic() + DEADLINE_SECONDS
        while not ((status := read_status(zombie)) and status.has_ended):
            assert time.monotonic() < end

        assert status.parent == process.pid
        assert describe(zombie) is None
    assert read_status(process.pid) is None
    assert describe(process.pid) is None


@on_linux
def test_the_same_process_twice() -> None:
    """A process is identified by its pid and start, however often it is described."""
    first, second = describe(os.getpid()), describe(os.getpid())

    assert first is not None
    assert second is not None
    assert first.process == second.process


@pytest.mark.parametrize(
    ("cgroups", "expected"),
    [
        pytest.param("0::/\n", "", id="none"),
        pytest.param("0::/user.slice/user-1000.slice/session-3.scope\n", "", id="session"),
        pytest.param(f"12:cpu:/docker/{ID}\n11:memory:/docker/{ID}\n", ID, id="docker-v1"),
        pytest.param(f"0::/system.slice/docker-{ID}.scope\n", ID, id="docker-v2"),
        pytest.param(f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", ID, id="containerd"),
        pytest.param(f"0::/kubepods-besteffort-pod1.slice:cri-containerd:{ID}\n", ID, id="colons"),
        pytest.param(f"0::/machine.slice/libpod-{ID}.scope/container\n", ID, id="podman"),
        pytest.param(f"1:name=systemd:/kubepods/pod1/{ID}\n", ID, id="named-hierarchy"),
        pytest.param(f"0::/docker/{OTHER_ID}/docker/{ID}\n", ID, id="nested"),
        pytest.param(f"0::/docker/{ID}/system.slice/cron.service\n", ID, id="service-in-a-container"),
        pytest.param(f"9:pids:/ecs/{ID[:32]}/{ID[:32]}-1234567\n", f"{ID[:32]}-1234567", id="fargate"),
        pytest.param(f"0::/build/{ID[:32]}\n", "", id="other-digits"),
    ],
)
def test_containers(cgroups: str, expected: str) -> None:
    """The container's id is found in the cgroups of every common runtime."""
    assert container_id_of(cgroups) == expected
