"""Every setting of csm-otel, declared once: its type, bounds, default and purpose.

The flags (`csm_otel.config.flags`), the reading of the ``CSM_OTEL_`` variables (`csm_otel.config.environment`) and the
table in docs/settings.md (`csm_otel.config.document`) are generated from this declaration. Standard library only.
Sizes are bytes, times are seconds.
"""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from csm_otel.config.setting import Address, AddressReader, CommandDefaults, Number, Option, settings_of
from csm_otel.errors import RuleError, quoted
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES

PREFIX = "CSM_OTEL_"
COMMANDS = ("serve", "exec", "env", "replay", "report", "flush", "health", "doctor")

_SERVE, _EXEC, _REPLAY = ("serve",), ("exec",), ("replay",)
_RECEIVING = ("serve", "exec")
_EXPORTING = ("serve", "exec", "replay")
_TRACING = (*_EXPORTING, "report")
_SHOWING = ("exec", "report")
_STARTING = ("exec", "env")
_MIB = 1024 * 1024
_PORT = Number(0, 65_535)
_FROM_ONE_MIB = Number(_MIB, unit="bytes")
_HOUR = Number(0, 3600, float)
_MAX_DIGITS = 19  # of a 64-bit number

INPUT, TRACES, OUTPUT, DELIVERY, LIMITS, DAEMON = GROUPS = (
    "where calls come from",
    "what is traced",
    "output",
    "delivery",
    "limits",
    "daemon",
)
"""The headings of the help pages, in order."""


def _networks(text: str) -> str:
    from csm_otel.intake.allowed import parse_networks  # ruff: ignore[import-outside-top-level] - exec does not need it

    parse_networks(text)
    return text


def _rules(text: str) -> str:
    from csm_otel.verdict.rules import parse_rules  # ruff: ignore[import-outside-top-level] - few runs have any

    try:
        parse_rules(text)
    except RuleError as error:
        raise ValueError(str(error)) from error
    return text


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"{quoted(text)} is no number of at most {_MAX_DIGITS} digits")
    return text


def _trace_url(text: str) -> str:
    from csm_otel.report.links import check_trace_url  # ruff: ignore[import-outside-top-level] - few runs have one

    return check_trace_url(text)


class Settings(NamedTuple):
    """The settings of the operator."""

    host: Annotated[
        str,
        Option(
            ("serve", "env"),
            INPUT,
            "address to listen on",
            "HOST",
            unset="127.0.0.1 and, where IPv6 exists, ::1",
            values="an address or a host name",
            more="One that is not loopback needs `--allow-remote`. `::` is for IPv6 only; a name stands for its IPv4 "
            "address, if it has one. Without effect where systemd hands sockets over.",
            help_of={"env": "address or name of the daemon, to which scripts send"},
        ),
    ] = ""
    port: Annotated[
        int,
        _PORT,
        Option(
            ("serve", "env", "flush", "health", "doctor"),
            INPUT,
            "UDP port of the daemon",
            "PORT",
            more="0 picks a free one, on 127.0.0.1 only. Without effect on `serve` where systemd hands sockets over. "
            "`flush` and `health` need it because the name of the daemon's default socket contains it.",
        ),
    ] = 31_000
    allow_remote: Annotated[
        bool,
        Option(
            _RECEIVING,
            INPUT,
            "allow a `--host` or `--health` that other hosts can reach, and a `--tee` to one",
            help_of={"exec": "allow a `--tee` to another host"},
        ),
    ] = False
    allow_from: Annotated[
        str,
        _networks,
        Option(
            _SERVE,
            INPUT,
            "accept datagrams of other hosts from these networks only",
            "CIDR[,CIDR...]",
            unset="from anywhere that can reach the address",
            values="networks in CIDR form, separated by commas",
            more="Datagrams from elsewhere are counted and not decoded. Those of this machine are always accepted.",
        ),
    ] = ""
    speed: Annotated[
        float | None,
        Number(0.001, 1_000_000, float),
        Option(
            _REPLAY,
            INPUT,
            "replay N times as fast as it was recorded",
            "N",
            unset="as fast as possible",
            more="The spans are the same at any speed.",
        ),
    ] = None

    group: Annotated[
        Literal["call", "process"],
        Option(
            ("serve", "replay", "report"),
            TRACES,
            "make each call one trace, or each process (Linux)",
            more="It holds for calls without a trace context of their own. `process` needs Linux and a sender whose "
            "process csm-otel may inspect; other calls are traces of their own.",
        ),
    ] = "call"
    name: Annotated[
        str,
        Option(
            _STARTING,
            TRACES,
            "name of the application, `service.name`",
            "NAME",
            unset="the client id given, else `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, "
            "else the command's script or program",
        ),
    ] = ""
    format: Annotated[
        Literal["sh", "fish", "github"],
        Option(
            ("env",),
            INPUT,
            "what reads the variables: a shell like sh, fish, or the file `$GITHUB_ENV`",
        ),
    ] = "sh"
    unset: Annotated[bool, Option(("env",), INPUT, "remove the variables again")] = False
    timestamps: Annotated[
        Literal["auto", "start", "end"],
        Option(
            _TRACING,
            TRACES,
            "what a CSM timestamp marks",
            more="`auto`: the start, but the end for the Go SDK.",
        ),
    ] = "auto"
    messages: Annotated[
        Literal["redacted", "none"],
        Option(
            _TRACING,
            TRACES,
            "export error messages redacted, or not at all",
            more="For `report` it is about recordings.",
            help_of={"report": "show error messages of recordings redacted, or not at all"},
        ),
    ] = "redacted"
    account_id: Annotated[
        bool,
        Option(
            _TRACING,
            TRACES,
            "export `cloud.account.id`, the account that the access key belongs to",
            more="It is decoded from the access key id. For `report` it is about recordings.",
            help_of={"report": "show the accounts that access keys in recordings belong to"},
        ),
    ] = True
    user_agent: Annotated[bool, Option(_EXPORTING, TRACES, "export `user_agent.original`")] = False
    peer_service: Annotated[
        bool,
        Option(
            _EXPORTING,
            TRACES,
            "export `peer.service` on calls, so that service maps show each AWS service as a node",
        ),
    ] = False
    command_args: Annotated[
        bool,
        Option(
            _EXEC,
            TRACES,
            "export the command's arguments as `process.command_args`",
            more="They may contain secrets.",
        ),
    ] = False
    pipeline: Annotated[
        bool,
        Option(
            _RECEIVING,
            TRACES,
            "export which CI pipeline this is as `cicd.*` and `vcs.*`",
            more="See docs/pipelines.md. `OTEL_RESOURCE_ATTRIBUTES` wins.",
        ),
    ] = True
    join: Annotated[
        Literal["none", "github", "github-job-name", "gitlab"],
        Option(
            _STARTING,
            TRACES,
            "join the trace of the CI run by ids derived from its variables",
            more="A valid `TRACEPARENT` wins. See docs/pipelines.md.",
        ),
    ] = "none"
    check_run_id: Annotated[
        str,
        _digits,
        Option(
            _STARTING,
            TRACES,
            "id of the GitHub job, for `--join github`",
            "ID",
            values="digits: `${{ job.check_run_id }}` in a workflow",
        ),
    ] = ""
    job_name: Annotated[
        str,
        Option(_STARTING, TRACES, "name of the CI job, where its variables have another", "NAME", values="any text"),
    ] = ""
    step_name: Annotated[
        str,
        Option(
            _STARTING,
            TRACES,
            "name of the GitHub step, to be below it instead of its job",
            "NAME",
            values="any text; it must be unique in the job",
        ),
    ] = ""
    trust_remote_context: Annotated[
        bool, Option(_TRACING, TRACES, "join trace contexts in client ids that other hosts send")
    ] = False

    quiet: Annotated[bool, Option(_EXEC, OUTPUT, "print nothing")] = False
    output: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "print waterfall, tally and warnings to this file",
            "FILE",
            unset="stderr, for `report` stdout",
            values="a path; `-` is stdout",
            more="The file is replaced. To stdout it is all printed after the command's end. The warnings of `report` "
            "are on stderr in any case.",
            help_of={"report": "print to this file instead"},
        ),
    ] = None
    waterfall: Annotated[
        bool,
        Option(
            _SHOWING,
            OUTPUT,
            "print the calls, one after the other",
            more="It is printed where spans are not sent to a back end, or `OTEL_TRACES_EXPORTER` has `console`. A run "
            "of more than 40 calls has an overview before it.",
        ),
    ] = True
    live: Annotated[
        bool,
        Option(
            _RECEIVING,
            OUTPUT,
            "print a line for each finished call on stderr at once",
            more="At most 20 a second, and 20 of calls that failed; the others are counted. Lines that stderr does not "
            "take are left out.",
        ),
    ] = False
    all: Annotated[
        bool,
        Option(
            _SHOWING, OUTPUT, "print every call, however many there are", more="By default they fit about a screen."
        ),
    ] = False
    only_failed: Annotated[bool, Option(_SHOWING, OUTPUT, "print only the calls that failed")] = False
    sort: Annotated[
        Literal["total", "calls", "failed", "p95", "max", "name"],
        Option(_SHOWING, OUTPUT, "order of the operations in the overview"),
    ] = "total"
    fail_on: Annotated[
        str,
        _rules,
        Option(
            _SHOWING,
            OUTPUT,
            "exit with 99 if one of these rules on what was seen is broken",
            "RULE[,RULE...]",
            unset="never",
            values="rules, separated by commas",
            more="docs/verdicts.md has their grammar. The exit code of a command that fails is kept. The flag may be "
            "repeated, for further rules.",
            is_list=True,
        ),
    ] = ""
    baseline: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "compare the kinds of calls with those of this file",
            "FILE",
            values="a path",
            more="What came and went is printed; `--fail-on 'new>0, gone>0'` makes it fail.",
        ),
    ] = None
    update_baseline: Annotated[
        bool,
        Option(
            _SHOWING,
            OUTPUT,
            "write the file of `--baseline` anew",
            more="It stays as it is if the command failed, or datagrams were dropped.",
        ),
    ] = False
    compare: Annotated[
        Path | None,
        Option(
            ("report",),
            OUTPUT,
            "compare the run with that of this file",
            "OTHER",
            values="a path",
            more="Of the same kinds as the files of the run, or a summary that `--summary-json` has written.",
        ),
    ] = None
    summary_json: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write a summary of the run as JSON to this file",
            "FILE",
            values="a path",
            more="docs/summary.md describes it. The file is replaced, and created with mode 0600.",
        ),
    ] = None
    markdown: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write a summary of the run as Markdown to this file",
            "FILE",
            values="a path",
            more="It is GitHub-flavoured, and has at most 1 MiB: docs/pipelines.md. The file is replaced, and created "
            "with mode 0600.",
        ),
    ] = None
    step_summary: Annotated[
        bool,
        Option(
            _SHOWING,
            OUTPUT,
            "append that Markdown to the summary of the step on GitHub Actions",
            more="It is the file that `GITHUB_STEP_SUMMARY` names. What others have written to it stays, and counts "
            "towards the 1 MiB that GitHub shows.",
        ),
    ] = False
    junit: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write a test case for each rule and each operation that failed to this file, as JUnit XML",
            "FILE",
            values="a path",
            more="Jenkins and GitLab read it: docs/pipelines.md. The file is replaced, and created with mode 0600.",
        ),
    ] = None
    gitlab_annotations: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write links to the trace and the report to this file, for the page of a GitLab job",
            "FILE",
            values="a path",
            more="The trace is that of `--trace-url`, the report that of `--report`, if it is below the project's "
            "folder. The file is replaced, and created with mode 0600.",
        ),
    ] = None
    annotations: Annotated[
        Literal["auto", "github", "none"],
        Option(
            _SHOWING,
            OUTPUT,
            "print what failed and mattered as annotations of the pipeline on stderr",
            more="`auto`: on GitHub Actions, where `GITHUB_ACTIONS` is `true`; `github`: elsewhere, too. They are "
            "GitHub's workflow commands, at most nine of a kind: docs/pipelines.md.",
        ),
    ] = "auto"
    trace_url: Annotated[
        str,
        _trace_url,
        Option(
            _SHOWING,
            OUTPUT,
            "address of a trace in the user interface of the back end",
            "URL",
            unset="no links",
            values="a URL with `{trace_id}` in it",
            more="`http://localhost:16686/trace/{trace_id}` is one of Jaeger. It is printed, and linked in summaries.",
        ),
    ] = ""
    report: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write a report of the run as a page of HTML to this file",
            "FILE",
            values="a path",
            more="It makes no requests. It lists up to 5,000 calls, those that failed before the others. The file is "
            "replaced, and created with mode 0600.",
        ),
    ] = None
    chrome_trace: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write the calls to this file in Chrome's trace format",
            "FILE",
            values="a path",
            more="Perfetto, speedscope and chrome://tracing open it. The file is replaced, and created with mode 0600.",
        ),
    ] = None
    policy: Annotated[
        Path | None,
        Option(
            _SHOWING,
            OUTPUT,
            "write an IAM policy with the actions that the calls need to this file",
            "FILE",
            values="a path",
            more="It allows them on all resources, as CSM has none: docs/summary.md. The file is replaced, and created "
            "with mode 0600.",
        ),
    ] = None
    file: Annotated[
        Path | None,
        Option(
            _EXPORTING,
            OUTPUT,
            "also append OTLP JSON lines to this file",
            "FILE",
            values="a path; `-` is stdout, for `serve` and `replay`",
            more="Each line is one request, as the collector's `otlpjsonfile` receiver reads it. The file is created "
            "with mode 0600. A named pipe needs a reader from the start; one that stalls for longer than a second "
            "loses lines, which are counted; the same holds for a pipe on stdout, but `replay` waits for either. "
            "Once 16 MiB wait to be written, further lines are dropped and counted. Stdout is refused if `--record -` "
            "or the console exporter uses it, too; with `--file -` the console is not the default of `replay`.",
        ),
    ] = None
    record: Annotated[
        Path | None,
        Option(
            _RECEIVING,
            OUTPUT,
            "record what arrives, without its secrets, for `csm-otel replay`",
            "FILE",
            values="a path; `-` is stdout, for `serve`",
            more="The recording is appended: a JSON line for each datagram, with its time and sender, without keys and "
            "tokens and with redacted messages. The file is created with mode 0600 and grows without limit. "
            "Named pipes and slow disks are treated as with `--file`.",
        ),
    ] = None
    tee: Annotated[
        Address | None,
        AddressReader(lowest_port=1),
        Option(
            _RECEIVING,
            OUTPUT,
            "also forward what arrives, without its secrets, to another CSM listener such as iamlive",
            "HOST:PORT",
            unset="nowhere",
            more="Each event is a UDP datagram in the keys of the SDKs, without keys and tokens and with redacted "
            "messages, or without them by `--messages none`. The host is 127.0.0.1 unless one is given; one of another "
            "machine needs `--allow-remote`, and its name is looked up once. What cannot be sent is counted. What "
            "another csm-otel has forwarded is not forwarded again. docs/migrating.md has more.",
        ),
    ] = None

    queue_bytes: Annotated[
        int,
        _FROM_ONE_MIB,
        Option(
            _EXPORTING,
            DELIVERY,
            "most bytes of encoded spans that wait for the back end",
            "N",
            note="64 MiB",
            more="Beyond it the oldest that are not being delivered are dropped and counted.",
        ),
    ] = 64 * _MIB
    spool: Annotated[
        Path | None,
        Option(
            _EXPORTING,
            DELIVERY,
            "keep spans that wait for the back end in this folder",
            "DIR",
            unset="in memory",
            values="a folder",
            more="The folder is created with mode 0700; what is in it outlives this process. Only one process can use "
            "it at a time; another one keeps its spans in memory and reports that.",
        ),
    ] = None
    spool_bytes: Annotated[
        int,
        _FROM_ONE_MIB,
        Option(
            _EXPORTING,
            DELIVERY,
            "most bytes that wait in the spool",
            "N",
            note="256 MiB",
            more="Beyond it the oldest are dropped and counted, except for the first, which may be being delivered.",
        ),
    ] = 256 * _MIB
    encoder: Annotated[
        Literal["fast", "official"],
        Option(
            _EXPORTING,
            DELIVERY,
            "encode spans by csm-otel's own code, or by the official protobuf package",
            more="Both encode the same bytes; `official` takes several times as long.",
        ),
    ] = "fast"
    drain_seconds: Annotated[
        float | None,
        _HOUR,
        Option(
            _EXPORTING,
            DELIVERY,
            "how long shutdown may take, the last delivery included",
            "S",
            more="It counts from the signal or from the end of the command, and includes reading what has arrived and "
            "looking up its origin. For `replay` it covers the delivery only.",
        ),
        # docker kills 10 s after SIGTERM; after `exec` a user waits for the result; a replay is rarely waited for
        CommandDefaults(serve=8.0, exec=5.0, replay=30.0),
    ] = None

    receive_buffer_bytes: Annotated[
        int,
        Number(4096, 2**30, unit="bytes"),
        Option(
            _RECEIVING,
            LIMITS,
            "size of the socket buffer to request from the kernel",
            "N",
            note="4 MiB",
            more="Linux caps it at `net.core.rmem_max`, unless the process has CAP_NET_ADMIN, and doubles it in its "
            "own accounting. A socket that systemd hands over never gets a smaller buffer than it has. `serve` prints "
            "the size it got; when the kernel drops datagrams, a warning says "
            "which of the two to raise.",
        ),
    ] = DEFAULT_BUFFER_BYTES
    grace_seconds: Annotated[
        float,
        Number(0, 60, float),
        Option(
            _TRACING,
            LIMITS,
            "how long a call waits for late attempts, or for calls that compete for its attempts",
            "S",
            more="Attempts are late where the sender or the network may reorder (Ruby, .NET, JavaScript, other hosts).",
        ),
    ] = 0.25
    attempt_wait_seconds: Annotated[
        float,
        Number(1, 86_400, float),
        Option(
            _TRACING,
            LIMITS,
            "how long an attempt waits for its call before it is exported as an orphan",
            "S",
            note="15 min",
            more="It should be longer than the longest call. Attempts of a process that is known to have ended "
            "(`serve`, Linux) do not wait.",
        ),
    ] = 900.0
    pending_events: Annotated[
        int,
        Number(1),
        Option(
            _TRACING,
            LIMITS,
            "most events that wait for their call",
            "N",
            more="Beyond it the oldest are released early.",
        ),
    ] = 100_000
    pending_bytes: Annotated[
        int,
        _FROM_ONE_MIB,
        Option(
            _TRACING,
            LIMITS,
            "the same, in bytes of the datagrams they came in",
            "N",
            note="64 MiB",
        ),
    ] = 64 * _MIB

    control: Annotated[
        Path | None,
        Option(
            ("serve", "flush", "health", "doctor"),
            DAEMON,
            "unix socket by which `flush` and `health` reach the daemon; `none`: no socket",
            "PATH",
            unset="`csm-otel/PORT.sock` in `$XDG_RUNTIME_DIR` or `/run/user/UID`, else `csm-otel-UID/PORT.sock` in "
            "`$TMPDIR`, `/tmp` or `/var/tmp`",
            values="a path, or `none`",
            more="It has mode 0600. Its folder must be the daemon's own, with mode 0700; it is created if missing. By "
            "default the daemon uses the first that it can write. If the socket cannot be created, as on a read-only "
            "system, the daemon reports that and runs without it.",
        ),
    ] = None
    timeout: Annotated[
        float,
        _HOUR,
        Option(
            ("flush", "health", "doctor"),
            DAEMON,
            "how long to wait for the daemon",
            "S",
            more="For `flush` that is how long the delivery may take. For `doctor` it holds for the back end, too.",
        ),
    ] = 10.0
    canary: Annotated[
        bool,
        Option(
            ("doctor",),
            OUTPUT,
            "send the back end a span, not just an empty request",
            more="Its service is `csm-otel-doctor`, its trace id is printed.",
        ),
    ] = False
    json: Annotated[
        bool,
        Option(("doctor",), OUTPUT, "print one JSON document", more="Its `schema` is 1."),
    ] = False
    check: Annotated[
        Literal["live", "ready"],
        Option(
            ("health",),
            DAEMON,
            "what to check: that the daemon runs, or that it also receives and can deliver",
            more="`live` is for what restarts the daemon, `ready` for what waits for it. A back end that is away "
            "does not make it unready: its spans are queued.",
        ),
    ] = "live"
    health: Annotated[
        Address | None,
        AddressReader(),
        Option(
            ("serve", "health"),
            DAEMON,
            "TCP port for `/healthz` and `/readyz`, of 127.0.0.1 unless a host is given; 0 picks a free one",
            "[HOST:]PORT",
            unset="off",
            more="The address is printed. A host that is not loopback needs `--allow-remote`; `[::]` includes IPv4. "
            "The answers hold counts and the state of the daemon, nothing of what was received. `health` asks there "
            "if it is set and not 0, else by the `--control` socket.",
            help_of={
                "health": "ask at this TCP port, of 127.0.0.1 unless a host is given, and not by the control socket; "
                "0: by the socket"
            },
        ),
    ] = None
    flush_over_health: Annotated[
        bool,
        Option(
            _SERVE,
            DAEMON,
            "let who reaches the port of `--health` have everything delivered, see `flush --to`",
            more="Without it only the control socket does. `--allow-from` holds for it, too; requests of web pages are "
            "refused.",
        ),
    ] = False
    to: Annotated[
        Address | None,
        AddressReader(lowest_port=1),
        Option(
            ("flush",),
            DAEMON,
            "flush the daemon at this TCP port, of 127.0.0.1 unless a host is given, not that of the control socket",
            "[HOST:]PORT",
            unset="by the control socket",
            more="It is the port of its `--health`; it needs `--flush-over-health`.",
        ),
    ] = None
    report_seconds: Annotated[
        float,
        Number(0, 86_400, float),
        Option(
            _SERVE,
            DAEMON,
            "interval of the line with the counts on stderr; 0: never",
            "S",
            more="The line is left out while nothing has changed.",
        ),
    ] = 60.0


SETTINGS = settings_of(Settings, prefix=PREFIX)
"""By field."""
