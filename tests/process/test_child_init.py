"""As PID 1, in a container, the wrapper does the duties of an init; see test_child.py for the rest of Child."""

from __future__ import annotations

import shutil

import pytest
from children.processes import WRAPPER, python, run

PID_NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def is_refused(command: list[str]) -> bool:
    """Return whether a trivial command cannot be run here."""
    return shutil.which(command[0]) is None or run([*command, "true"]).returncode != 0


needs_pid_namespace = pytest.mark.skipif(is_refused(PID_NAMESPACE), reason="PID namespaces are not permitted here")


@needs_pid_namespace
def test_orphans() -> None:
    """Orphans are reaped while the command runs, many at once, and its own status is not confused with theirs."""
    # Leaves its children to PID 1 once all of them have ended.
    parent = """if True:
        import os
        pids = [os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], {}) for _ in range(20)]
        for pid in pids:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        print(*pids)
    """
    program = """if True:
        import os, pathlib, subprocess, sys, time
        assert os.getppid() == 1
        left = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True).stdout.split()
        found = len(left)
        deadline = time.monotonic() + 50
        while left and time.monotonic() < deadline:
            left = [pid for pid in left if pathlib.Path("/proc", pid).exists()]
        print(found, left)
        sys.exit(7)
    """
    result = run([*PID_NAMESPACE, *WRAPPER, *python(program), *python(parent)])
    assert (result.stdout, result.stderr, result.returncode) == (b"20 []\n", b"", 7)


@needs_pid_namespace
def test_orphan_that_outlives_the_command() -> None:
    """An orphan that ends after the command is reaped, too, and does not change the command's status."""
    program = """if True:
        import os, time
        from csm_otel.process.child import Child
        reader, writer = os.pipe()
        os.dup2(reader, 9)
        child = Child.start(["sh", "-c", "(read line <&9; exit 4) & exit 7"], os.environ)
        def processes():
            return [name for name in os.listdir("/proc") if name.isdigit()]
        print(child.wait(), len(processes()))
        os.close(writer)
        deadline = time.monotonic() + 50
        while len(processes()) > 1 and time.monotonic() < deadline:
            pass
        print(child.wait(), len(processes()))
    """
    assert run([*PID_NAMESPACE, *python(program)]).stdout.decode() == "7 2\n7 1\n"


@needs_pid_namespace
def test_signals() -> None:
    """A signal that PID 1 would ignore by default is forwarded."""
    program = """if True:
        import os, signal, sys
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(1, signal.SIGTERM)
        signal.sigwait([signal.SIGTERM])
        sys.exit(11)
    """
    assert run([*PID_NAMESPACE, *WRAPPER, *python(program)]).returncode == 11
