"""The command of ``exec``: an argument vector in, a running process with its signals forwarded and its end seen out.

Theory of operation
===================
Only the standard library is imported here, because the command is started before anything heavy is loaded.

- The command is started by posix_spawn into our own process group, with our own standard streams, so that the terminal
  and its job control see no difference. It gets the signal mask and the dispositions that we were started with; SIGPIPE
  and SIGXFSZ, which Python has set to ignored whatever they were, and SIGCHLD, which we need, get the default.
- HUP, INT, QUIT, TERM and CHLD are blocked before the start, in the main thread and so in every later one. One thread
  accepts them one after the other: nothing is lost between the start and that thread, none of them ends this process,
  and the main thread is free to import and to wait. A signal that was ignored at our start (nohup, a background job) is
  not touched, so the command ignores it as well. SIGTSTP is never blocked.
- What the terminal sends goes to the whole foreground group, the command included, and must not arrive twice. Linux
  marks it: si_code is SI_KERNEL. A hang-up is the exception, it goes to the session leader alone. Where there is no
  sigwaitinfo (macOS), INT and QUIT count as the terminal's while our group is in its foreground.
- The same thread reaps, on CHLD. Pending signals are accepted in the order of their numbers, and CHLD has the highest,
  so a Ctrl-C that ended the command is never mistaken for one that came after its end.
- What is sent by kill() to the whole group cannot be distinguished from what is sent to us alone: it is forwarded.
- The signals stay blocked after the end, when they are for this process. The first one only sets `interrupted`, so that
  delivery can give up in order. A second one ends this process at once, whatever it waits for, and without any
  clean-up, with the command's result as the exit code. Otherwise nothing but KILL could end a step that ignores
  `interrupted`, and KILL would lose that result.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from csm_otel.errors import CommandError, CommandNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
# asm-generic/siginfo.h; Python has no name for it.
_SI_KERNEL = 0x80
_INIT_PID = 1
# As bash judges a file that the kernel cannot execute: a NUL in the first line of so many bytes means no script.
_SCRIPT_SAMPLE_BYTES = 80


class Child:
    """A command that was started: running, or ended. Created by `start`."""

    pid: int
    started_ns: int
    """Wall clock, epoch nanoseconds, just before the start."""
    ended_ns: int | None
    """Wall clock, epoch nanoseconds, as soon as the end was seen; None before."""
    exit_code: int | None
    """As a shell gives it: the status, or 128 + n for signal n; None before the end."""
    signal_number: int | None
    """The signal that ended the command; None before the end and where there was none."""
    interrupted: threading.Event
    """Set by the first HUP, INT, QUIT or TERM after the end: the operator wants this process to finish at once.

    What waits after the end should watch it; a second such signal exits with ``exit_code``, whatever still runs.
    """

    def __init__(self, pid: int, *, started_ns: int) -> None:
        self.pid = pid
        self.started_ns = started_ns
        self.ended_ns = None
        self.exit_code = None
        self.signal_number = None
        self.interrupted = threading.Event()
        self._ended = threading.Event()
        self._end_reader, self._end_writer = os.pipe()

    @classmethod
    def start(cls, argv: Sequence[str], environ: Mapping[str, str]) -> Child:
        """Start the command at once, with a thread that forwards signals to it and waits for its end.

        Call it in the main thread and before there is any other, because only threads started later have the signals
        blocked. The name is looked up in the PATH of ``environ``; a script without ``#!`` runs under /bin/sh.

        Raises:
            CommandError: there is no such command, or it cannot be executed; signals are as before then.
        """
        intercepted = {number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
        blocked = {*intercepted, signal.SIGCHLD}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        # With a handler, because a system may discard what is ignored by default even while it is blocked, and because
        # an ignored CHLD would have the kernel throw the command's status away.
        on_end = signal.signal(signal.SIGCHLD, lambda *_: None)
        started_ns = time.time_ns()
        try:
            pid = _spawn(argv, environ, mask)
        except CommandError:
            signal.signal(signal.SIGCHLD, on_end)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        child = cls(pid, started_ns=started_ns)
        threading.Thread(target=child._watch, args=(blocked,), name="signals", daemon=True).start()
        return child

    def fileno(self) -> int:
        """Return a descriptor that is readable once the command has ended, for a selector; do not read it."""
        return self._end_reader

    def poll(self) -> int | None:
        """Return the exit code if the command has ended."""
        return self.exit_code if self._ended.is_set() else None

    def wait(self) -> int:
        """Wait for the end of the command and return its exit code."""
        self._ended.wait()
        assert self.exit_code is not None
        return self.exit_code

    def _watch(self, blocked: Iterable[int]) -> None:
        while True:
            number, is_terminals = _accept(blocked)
            if number == signal.SIGCHLD:
                self._reap()
            elif self.interrupted.is_set():
                os._exit(self.wait())  # which returns at once: the command has ended
            elif self._ended.is_set():
                self.interrupted.set()
            elif not is_terminals:
                # Not reaped yet, so the pid is still its own. A command that changed its user may refuse.
                with contextlib.suppress(PermissionError):
                    os.kill(self.pid, number)

    def _reap(self) -> None:
        """Reap the command; as PID 1 also everything else, since orphans are reparented to us."""
        wanted = -1 if os.getpid() == _INIT_PID else self.pid
        # One SIGCHLD may stand for several ends. After the end the pid may become somebody else's.
        while wanted != self.pid or not self._ended.is_set():
            try:
                pid, status = os.waitpid(wanted, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid and not self._ended.is_set():
                self._end(os.waitstatus_to_exitcode(status))

    def _end(self, status: int) -> None:
        self.ended_ns = time.time_ns()
        self.signal_number = -status if status < 0 else None
        self.exit_code = 128 - status if status < 0 else status
        self._ended.set()
        os.close(self._end_writer)


def _accept(blocked: Iterable[int]) -> tuple[int, bool]:
    """Wait for a signal; return its number and whether the terminal sent it, to the command as well as to us."""
    if not hasattr(signal, "sigwaitinfo"):
        number = signal.sigwait(blocked)
        return number, number in {signal.SIGINT, signal.SIGQUIT} and _is_in_foreground()
    info = signal.sigwaitinfo(blocked)
    # tty_signal_session_leader() in the kernel's drivers/tty/tty_jobctrl.c: a hang-up is for the session leader only.
    is_ours_alone = info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
    return info.si_signo, info.si_code == _SI_KERNEL and not is_ours_alone


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _spawn(argv: Sequence[str], environ: Mapping[str, str], mask: Iterable[int]) -> int:
    """Start the first of the files with that name that may be executed, and return its pid.

    Raises:
        CommandNotFoundError: there is none, or the interpreter in its first line does not exist.
        CommandError: there is one, but it is not executable.
    """
    failure: OSError | None = None
    path = argv[0]
    for path in _paths(argv[0], environ):
        try:
            return _spawn_file(path, argv, environ, mask)
        except PermissionError as error:  # a shell goes on to the next, too
            failure = failure or error
        except OSError as error:
            failure = error
            break
    name = argv[0] if argv[0].isprintable() else ascii(argv[0])
    if failure is None or (failure.errno == errno.ENOENT and not os.access(path, os.F_OK)):
        raise CommandNotFoundError(f"csm-otel: {name}: command not found") from failure
    if failure.errno == errno.ENOENT:
        raise CommandNotFoundError(f"csm-otel: {name}: its interpreter was not found") from failure
    raise CommandError(f"csm-otel: {name}: {failure.strerror}") from failure


def _paths(name: str, environ: Mapping[str, str]) -> list[str]:
    """Return the paths that a shell tries, in order: the name itself if it holds a slash, else the files in PATH."""
    if "/" in name:
        return [name]
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    paths = [f"{folder or os.curdir}/{name}" for folder in folders]
    # Not by pathlib: it would be loaded before the command is started.
    return [path for path in paths if os.path.isfile(path)]  # ruff: ignore[os-path-isfile]


def _spawn_file(path: str, argv: Sequence[str], environ: Mapping[str, str], mask: Iterable[int]) -> int:
    try:
        return os.posix_spawn(path, list(argv), environ, setsigmask=mask, setsigdef=_SET_BY_PYTHON)
    except OSError as error:
        if error.errno != errno.ENOEXEC or _is_binary(path):
            raise
    script = ["/bin/sh", path, *argv[1:]]
    return os.posix_spawn(script[0], script, environ, setsigmask=mask, setsigdef=_SET_BY_PYTHON)


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:  # ruff: ignore[builtin-open]
        return b"\0" in file.read(_SCRIPT_SAMPLE_BYTES).partition(b"\n")[0]
