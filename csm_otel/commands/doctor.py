"""``csm-otel doctor``: check what keeps calls from being traced, and print what to do about it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.doctor.aws_files import read_profiles
from csm_otel.doctor.back_end import check_back_end, check_clock
from csm_otel.doctor.canary import canary_request
from csm_otel.doctor.command import check_command
from csm_otel.doctor.environment import check_environment
from csm_otel.doctor.finding import Checked
from csm_otel.doctor.listening import check_buffer, check_listener, find_listener
from csm_otel.doctor.profiles import check_profiles
from csm_otel.doctor.spellings import enabled_and_not
from csm_otel.doctor.variables import check_variables
from csm_otel.doctor.versions import check_versions
from csm_otel.intake.nested import receiver_in
from csm_otel.report.terminal import Terminal
from csm_otel.spans.data import TraceContext
from csm_otel.spans.ids import RandomIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csm_otel.config.configuration import Configuration
    from csm_otel.errors import Fault

SCHEMA = 1
"""Of the document of ``--json``; it changes when a key goes or changes its meaning."""
_HELP = "docs/troubleshooting.md"
_COLUMNS = 120


def doctor(
    configuration: Configuration, faults: Sequence[Fault], command: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Print the results of all checks, and return 0 if there are no findings, else 1."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once; there is nothing to clean up
    checks = list(run_checks(configuration, faults, command, environ))
    text = _document(checks) if configuration.settings.json else _page(checks)
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stdout, flush=True)  # ruff: ignore[print] - the answer is data
    return 1 if any(check.findings for check in checks) else 0


def run_checks(
    configuration: Configuration, faults: Sequence[Fault], command: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Checked]:
    """Yield the result of each check; ``faults`` are those of variables, ``environ`` what a script would inherit."""
    settings = configuration.settings
    timeout_seconds = settings.timeout
    outer = receiver_in(environ)  # below `exec`, that is what scripts send to
    port = outer[1] if outer else settings.port
    listener = find_listener(port, settings.control, timeout_seconds=timeout_seconds)
    profiles = read_profiles(environ, Path(environ.get("HOME") or Path.home()))
    yield check_environment(
        environ,
        profiles,
        port=port,
        is_listening=listener.is_ours is True,
        resolves=_resolves,
    )
    yield check_profiles(environ, profiles, port=port, resolves=_resolves)
    enabled = environ.get("AWS_CSM_ENABLED")
    is_csm_enabled = profiles.is_enabled(environ) if enabled is None else bool(enabled_and_not(enabled)[0])
    yield check_listener(listener, port=port, is_csm_enabled=is_csm_enabled)
    yield check_buffer(settings.receive_buffer_bytes)
    yield check_variables(configuration, faults, environ)
    ids = RandomIds()
    context = TraceContext(trace_id=ids.generate_trace_id(), span_id=ids.generate_span_id())
    request = canary_request(context, now_ns=time.time_ns()) if settings.canary else b""
    back_end = check_back_end(configuration.traces, request, timeout_seconds=timeout_seconds)
    yield back_end
    if settings.canary and configuration.traces is not None:
        yield Checked("canary", f"trace {context.trace_id:032x}")
    is_reached = not {"otlp-unreachable", "otlp-timeout"} & {finding.code for finding in back_end.findings}
    yield check_clock(configuration.traces if is_reached else None, now=time.time(), timeout_seconds=timeout_seconds)
    yield check_versions()
    if command:
        yield check_command(command, environ)


def _document(checks: Sequence[Checked]) -> str:
    return json.dumps(
        {
            "schema": SCHEMA,
            "checks": [
                {"name": check.name, "state": check.state, "findings": [one._asdict() for one in check.findings]}
                for check in checks
            ],
        }
    )


def _page(checks: Sequence[Checked]) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or ""
    terminal = Terminal(_COLUMNS, ascii_only="utf" not in encoding.lower())
    lines = [f"{check.name:<12} {terminal.printable(check.state)}" for check in checks]
    findings = [finding for check in checks for finding in check.findings]
    for finding in findings:
        lines += [
            "",
            f"{finding.code}: {terminal.printable(finding.what)}",
            f"  why:  {terminal.printable(finding.why)}",
            f"  do:   {terminal.printable(finding.fix)}",
            f"  more: {_HELP}#{finding.code}",
        ]
    noun = "finding" if len(findings) == 1 else "findings"
    return "\n".join([*lines, "", f"{len(findings) or 'no'} {noun}"])


def _resolves(host: str) -> bool:
    """Return whether a name has an IPv4 address, which is what most SDKs need."""
    try:
        return bool(socket.getaddrinfo(host, None, socket.AF_INET))
    except (OSError, UnicodeError):
        return False
