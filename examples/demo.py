"""Run an old backup script under `csm-otel exec`, against a simulated AWS on this machine; `make demo` runs this.

Starts moto and a fault proxy on free ports of 127.0.0.1, and stops both after the command. Nothing leaves the machine,
unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` names a collector for the trace. stdout is the script's, the waterfall is printed
to stderr, the exit code is the command's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from faultproxy import FaultProxy
from faultrules import Rule

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

SCRIPT = Path(__file__).parent / "legacy-backup" / "legacy_backup.py"
MOTO_START_SECONDS = 60.0  # usually a second or two; more with a cold disk
END_SECONDS = 10.0  # grace period of the command before it is terminated; csm-otel delivers in it

# Ends with its standard input, so that it never outlives the demo.
MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""

RULES = (
    Rule(kind="throttle", operation="PutItem", after=2, times=2),  # the third item needs three attempts
    Rule(kind="denied", operation="GetObject", path="/finance-reports/*", times=None),
)
FILES = {
    f"{name}.sql": size for size, name in enumerate(("accounts", "billing", "crm", "hr", "orders", "stock", "web"), 1)
}


@contextlib.contextmanager
def moto_server() -> Generator[int]:
    """Run a moto server in a child process and yield its port.

    Raises:
        RuntimeError: It did not start; the text ends with its last output.

    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(
            [sys.executable, "-c", MOTO],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the command
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], MOTO_START_SECONDS)
            line = process.stdout.readline() if readable else ""
            if not line:
                log.seek(0)
                msg = f"moto did not start: {(log.read().splitlines() or ['it says nothing'])[-1]}"
                raise RuntimeError(msg)
            yield int(line)
        finally:
            process.kill()  # it has nothing to save


def environment_for(port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which every SDK uses this port of 127.0.0.1, whatever the user's AWS settings are.

    If it names a collector, the trace goes to the collector and to the terminal.
    """
    environment = {
        name: value
        for name, value in inherited.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in environment:
        environment.setdefault("OTEL_TRACES_EXPORTER", "otlp,console")
    return environment | {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_MAX_ATTEMPTS": "5",
        "AWS_RETRY_MODE": "legacy",  # as in 2015; its backoff for DynamoDB is not random
        "NO_PROXY": "127.0.0.1,localhost",
    }


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the command until it ends, by itself or by a signal, and return its exit code (128+n for signal n)."""
    with subprocess.Popen(command, env=environment) as process:
        ended = threading.Event()

        # In a thread, since signal handlers raise in the main one: right after the command was reaped there, its exit
        # code would be lost before Popen stores it.
        def wait() -> None:
            process.wait()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        try:
            ended.wait()
        except KeyboardInterrupt:  # the command got the signal from the terminal too: let it end by itself first
            _end(process, ended, first_wait_seconds=END_SECONDS)
        except SystemExit:
            _end(process, ended, first_wait_seconds=0)
    code = process.returncode
    return code if code >= 0 else 128 - code


def _end(process: subprocess.Popen[bytes], ended: threading.Event, *, first_wait_seconds: float) -> None:
    ended.wait(first_wait_seconds)
    process.terminate()  # no effect on a process that has ended
    ended.wait(END_SECONDS)
    process.kill()
    ended.wait()


def main() -> int:
    """Run the demo and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with (
        tempfile.TemporaryDirectory(prefix="legacy-backup-") as directory,
        moto_server() as moto_port,
        FaultProxy(moto_port, RULES) as proxy,
    ):
        for name, size in FILES.items():
            Path(directory, name).write_text("-- dump\n" * size, encoding="utf-8")
        say(f"a stand-in for AWS listens on 127.0.0.1:{proxy.port}; it will throttle and refuse some calls")
        say(f"csm-otel exec -- python {SCRIPT.name} {directory}")
        command = [sys.executable, "-m", "csm_otel", "exec", "--", sys.executable, str(SCRIPT), directory]
        return run(command, environment_for(proxy.port, os.environ))


def say(line: str) -> None:
    """Print a line about the demo to stderr."""
    sys.stderr.write(f"demo: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except RuntimeError as error:
        say(str(error))
        sys.exit(1)
