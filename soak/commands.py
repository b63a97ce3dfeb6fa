"""Many commands under `exec`: the calls of each, and its end."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo import moto_server
from e2e.programs import ONE_CALL, environment, has_traceback, run, spans_in

from soak.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

_SENDER = Path(__file__).parent / "one_call.py"
_SIGNAL_EXIT = 128
ENDINGS = (
    ("exit", 0), ("signal", signal.SIGKILL), ("exit", 77), ("signal", signal.SIGTERM), ("exit", 255),
    ("signal", signal.SIGUSR1), ("exit", 1), ("signal", signal.SIGABRT), ("exit", 3),
)  # fmt: skip
"""The way a command ends, and its number."""


class _Ran(NamedTuple):
    calls: int
    attempts: int
    code: int
    code_expected: int
    is_sane: bool


def executed(*, with_boto3: int, with_sender: int, at_once: int, folder: Path) -> list[Row]:
    """Run commands of one call each: the real SDK against moto, and a sender that ends in every way."""

    def boto3(number: int) -> _Ran:
        code = number % 3
        return _run([sys.executable, "-c", f"{ONE_CALL}; raise SystemExit({code})"], code, folder / f"b{number}", port)

    def sender(number: int) -> _Ran:
        how, code = ENDINGS[number % len(ENDINGS)]
        command = [sys.executable, "-S", str(_SENDER), how, str(int(code))]
        return _run(command, code + _SIGNAL_EXIT * (how == "signal"), folder / f"s{number}", port)

    with moto_server() as port, ThreadPoolExecutor(at_once) as pool:
        ran = [*pool.map(boto3, range(with_boto3)), *pool.map(sender, range(with_sender))]
    count = with_boto3 + with_sender
    about = f"{count:,} exec runs of one call ({with_boto3} boto3)"
    exact = sum((one.calls, one.attempts) == (1, 1) for one in ran)
    coded = sum(one.code == one.code_expected for one in ran)
    sane = sum(one.is_sane for one in ran)
    return [
        Row(f"{about}: calls in the trace = calls made", "every time", f"{exact:,}", exact == count),
        Row(f"{about}: exit code or 128 + signal is the command's", "every time", f"{coded:,}", coded == count),
        Row(f"{about}: no exception, one trace", "every time", f"{sane:,}", sane == count),
    ]


def _run(command: Sequence[str], code: int, file: Path, aws_port: int) -> _Ran:
    done = run("exec", "--file", file, "--", *command, env=environment(aws_port, OTEL_TRACES_EXPORTER="none"))
    spans = spans_in(file) if file.exists() else []
    file.unlink(missing_ok=True)
    names = [span["name"] for span in spans]
    is_sane = len({span["traceId"] for span in spans}) == 1 and not has_traceback(done.stderr)
    return _Ran(names.count("S3.ListBuckets"), names.count("S3.ListBuckets attempt"), done.returncode, code, is_sane)
