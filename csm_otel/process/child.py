"""The command of ``exec``: an argument vector to a process, whose signals are forwarded and whose end is noticed.

Theory of operation
===================
Only the standard library is imported here, because the command is started before anything heavy is loaded.

- The command is started by posix_spawn into our own process group, with our own standard streams, so that the terminal
  and its job control see no difference. It gets the signal mask and the dispositions that we were started with; SIGPIPE
  and SIGXFSZ, which Python has set to ignored whatever they were, and SIGCHLD, which we need, get the default.
- All signals that can be caught are blocked before the start, in the main thread and so in every later one. One thread
  accepts them one after the other: nothing is lost between the start and that thread, none of them ends this process,
  and the main thread is free to import and to wait. What they mean is the command's to decide, so they are forwarded. A
  signal that was ignored at our start (nohup, a background job) is not touched, so the command ignores it as well.
- What the terminal sends goes to the whole foreground group, the command included, and must not arrive twice. Linux
  marks it: si_code is SI_KERNEL. A hang-up is the exception, it goes to the session leader alone. Where there is no
  sigwaitinfo (macOS), INT, QUIT, TSTP and WINCH count as the terminal's while our group is in its foreground.
- Of the timers that this process may have been started with, that of alarm() is the command's time limit: its signal is
  forwarded. Those of processor time, and the limit of it, measure this process: the command does not get their signals.
- A shell notices that a job has stopped by its own child, which is this process. So when a stop signal was sent here
  and the command then stops, this process stops by the same signal; while a command that handles or ignores it goes on,
  so do we. The CONT that ends it is forwarded like any other signal.
- The same thread reaps, on CHLD. Pending signals are accepted in the order of their numbers, and the key of a terminal
  that ends a command has a lower one than CHLD, so it is never mistaken for one that came after its end.
- What is sent by kill() to the whole group cannot be distinguished from what is sent to us alone: it is forwarded.
- The signals stay blocked after the end, when they are for this process, and mean what they mean by default, but in
  order. The first one that would end it only sets `interrupted`, so that delivery can give up. A second one ends this
  process at once, whatever it waits for, and without any clean-up, with the command's result as the exit code.
  Otherwise nothing but KILL could end a step that ignores `interrupted`, and KILL would lose that result.
- No failure of ours may cost the command its result or a signal. What can fail is done before the start, or there is
  something else to do: where no thread can be had, the main thread does its work in `wait`; an exception in the work,
  for want of memory say, ends one step of it, and the command is looked after again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from csm_otel.errors import CommandError, CommandNotFoundError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_NOT_CATCHABLE = (signal.SIGKILL, signal.SIGSTOP)
_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_IGNORED_BY_DEFAULT = (signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
_FROM_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, *_STOPPING)
_OF_OUR_PROCESSOR_TIME = (signal.SIGXCPU, signal.SIGVTALRM, signal.SIGPROF)
_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
# asm-generic/siginfo.h; Python has no name for it.
_SI_KERNEL = 0x80
_INIT_PID = 1
_RETRY_SECONDS = 0.1
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
    """Set by the first signal after the end that would end a process: the operator wants this one to finish at once.

    What waits after the end should watch it; a second such signal exits with ``exit_code``, whatever still runs.
    """

    failure: str
    """Why the end can only be waited for, by `wait` in the main thread, and not be noticed; "" if it can."""

    def __init__(self) -> None:
        self.ended_ns = None
        self.exit_code = None
        self.signal_number = None
        self.interrupted = threading.Event()
        self._stopped_by = 0
        """The signal that the command is stopped by; 0 while it runs."""
        self._is_to_stop = False
        """Whether a stop signal was received, and no SIGCONT since."""
        self._ended = threading.Event()
        self._blocked: frozenset[int] = frozenset()
        self._is_in_thread = False
        self.failure = ""
        try:
            self._end_reader, self._end_writer = os.pipe()
        except OSError as error:
            self._end_reader = self._end_writer = -1
            self.failure = reason_of(error)

    @classmethod
    def start(cls, argv: Sequence[str], environ: Mapping[str, str]) -> Child:
        """Start the command at once, with a thread that forwards signals to it and waits for its end.

        Call it in the main thread and before there is any other, because only threads started later have the signals
        blocked. The name is looked up in the PATH of ``environ``; a script without ``#!`` runs under /bin/sh. Once the
        command runs nothing is raised any more.

        Raises:
            CommandError: there is no such command, or it cannot be executed; signals are as before then.
        """
        child = cls()
        blocked = {signal.SIGCHLD, *(number for number in signal.valid_signals() if _is_to_forward(number))}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        # With a handler, because a system may discard what is ignored by default even while it is blocked, and because
        # an ignored CHLD would have the kernel throw the command's status away.
        handlers = {
            number: signal.signal(number, lambda *_: None) for number in _IGNORED_BY_DEFAULT if number in blocked
        }
        child.started_ns = time.time_ns()
        child._blocked = frozenset(blocked)
        thread = threading.Thread(target=child._watch, name="signals", daemon=True)
        try:
            child.pid = _spawn(argv, environ, mask)
        except CommandError:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        try:
            thread.start()
            child._is_in_thread = True
        except Exception as error:  # ruff: ignore[blind-except] - the command runs already
            child.failure = str(error)
        return child

    def fileno(self) -> int:
        """Return a descriptor that is readable once the command has ended, for a selector; do not read it.

        With a `failure` it may be -1.
        """
        return self._end_reader

    def poll(self) -> int | None:
        """Return the exit code if the command has ended."""
        return self.exit_code if self._ended.is_set() else None

    def wait(self) -> int:
        """Wait for the end of the command and return its exit code."""
        if self._is_in_thread:
            self._ended.wait()
        else:
            self._watch(until=self._ended.is_set)
        assert self.exit_code is not None
        return self.exit_code

    def _watch(self, until: Callable[[], bool] = lambda: False) -> None:
        is_to_reap = False
        while not until():
            try:
                if is_to_reap:
                    self._reap()
                    is_to_reap = False
                else:
                    self._handle(*_accept(self._blocked))
            except Exception:  # ruff: ignore[blind-except] - what was accepted may have been the only CHLD
                is_to_reap = True
                with contextlib.suppress(Exception):
                    time.sleep(_RETRY_SECONDS)

    def _handle(self, number: int, is_to_forward: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
        if number == signal.SIGCHLD:
            self._reap()
        elif self._ended.is_set():
            self._obey(number)
        else:
            if number in _STOPPING or number == signal.SIGCONT:
                self._is_to_stop = number != signal.SIGCONT
            # As in the kernel, a later stop signal cancels CONT: forwarded after it, CONT would undo a stop by a key.
            is_cancelled = number == signal.SIGCONT and not signal.sigpending().isdisjoint(_STOPPING)
            if is_to_forward and not is_cancelled:
                # Not reaped yet, so the pid is still its own. A command that changed its user may refuse.
                with contextlib.suppress(OSError):
                    os.kill(self.pid, number)
        if self._is_to_stop and self._stopped_by:
            self._stop_as_well()

    def _obey(self, number: int) -> None:
        """Do what a signal does to a process by default, but end in order."""
        if number in _STOPPING:
            _stop(number)
        elif number in _IGNORED_BY_DEFAULT:
            return
        elif self.interrupted.is_set():
            os._exit(self.wait())  # which returns at once: the command has ended
        else:
            self.interrupted.set()

    def _stop_as_well(self) -> None:
        number, self._stopped_by = self._stopped_by, 0
        self._is_to_stop = False
        if signal.SIGCONT not in signal.sigpending():  # which to stop now would discard
            _stop(number)

    def _reap(self) -> None:
        """Note what became of the command; as PID 1 also reap everything else, since orphans are reparented to us."""
        wanted = -1 if os.getpid() == _INIT_PID else self.pid
        # One SIGCHLD may stand for several changes. After the end the pid may become somebody else's.
        while wanted != self.pid or not self._ended.is_set():
            try:
                pid, status = os.waitpid(wanted, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != self.pid or self._ended.is_set():
                continue
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                self._stopped_by = os.WSTOPSIG(status) if os.WIFSTOPPED(status) else 0
            else:
                self._stopped_by = 0
                self._end(os.waitstatus_to_exitcode(status))

    def _end(self, status: int) -> None:
        self.ended_ns = time.time_ns()
        self.signal_number = -status if status < 0 else None
        self.exit_code = 128 - status if status < 0 else status
        self._ended.set()
        if self._end_writer >= 0:
            os.close(self._end_writer)


def _is_to_forward(number: int) -> bool:
    """Return whether a signal can be caught, and was not ignored when this process was started."""
    if number in _NOT_CATCHABLE:
        return False
    return number in _SET_BY_PYTHON or signal.getsignal(number) != signal.SIG_IGN


def _accept(blocked: Iterable[int]) -> tuple[int, bool]:
    """Wait for a signal; return its number and whether to forward it: the terminal's have reached the command, too."""
    if not hasattr(signal, "sigwaitinfo"):
        number = signal.sigwait(blocked)
        keys = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
        return number, number not in keys or not _is_in_foreground()
    info = signal.sigwaitinfo(blocked)
    if info.si_code != _SI_KERNEL:
        return info.si_signo, True
    if info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid():
        # tty_signal_session_leader() in the kernel's drivers/tty/tty_jobctrl.c: it is sent to nobody else.
        return info.si_signo, True
    return info.si_signo, info.si_signo not in (*_FROM_TERMINAL, *_OF_OUR_PROCESSOR_TIME)


def _stop(number: int) -> None:
    """Stop this process by a signal until it is continued; in a group without a shell the kernel does not do so."""
    signal.raise_signal(number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    signal.pthread_sigmask(signal.SIG_BLOCK, (number,))


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
