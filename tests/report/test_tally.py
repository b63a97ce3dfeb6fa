"""The tally in words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from csm_otel.report.tally import is_uneventful, render_losses, render_tally
from csm_otel.tally import SocketCounters, Tally

CLEAN = """\
csm-otel: 0 datagrams received, 0 dropped by the kernel, 0 malformed
          0 calls with 0 attempts
          0 spans delivered
"""


def _clean(**counts: object) -> Tally:
    return Tally(**{"datagrams_dropped_by_kernel": 0, **counts})  # type: ignore[arg-type]


def test_a_run_without_losses_takes_three_lines() -> None:
    """Datagram losses are reported even if there are none, other counts only if there are any."""
    tally = _clean(datagrams_received=34, calls=14, attempts=20, spans_created=35, spans_delivered=35)
    assert render_tally(tally) == (
        "csm-otel: 34 datagrams received, 0 dropped by the kernel, 0 malformed\n"
        "          14 calls with 20 attempts\n"
        "          35 spans delivered\n"
    )


def test_every_loss_is_reported() -> None:
    """Each kind of loss and doubt has its words, with reasons where there are any."""
    tally = Tally(
        datagrams_received=1234,
        datagrams_dropped_by_kernel=7,
        datagrams_not_allowed=4,
        datagrams_late=2,
        calls_reported=1,
        reports=1,
        malformed=Counter({"not_json": 1, "empty": 2}),
        objects_rejected=Counter({"too_many": 1}),
        other_versions=1,
        calls=14,
        attempts=21,
        released=Counter({"complete": 13, "evicted": 1}),
        orphans=Counter({"ended": 1, "evicted": 1}),
        attempts_missing=1,
        ambiguous=2,
        origins_unknown=9,
        spans_created=40,
        spans_unsampled=2,
        spans_delivered=20,
        spans_dropped=Counter({"queue_full": 5, "shutdown": 6}),
        spans_rejected=3,
        sockets=(SocketCounters(("127.0.0.1", 31000), 1236, 7, 8192, dropped_before=12),),
    )
    assert render_tally(tally, seconds=3.4) == (
        "csm-otel: 1,234 datagrams received in 3.40 s, 7 dropped by the kernel, 3 malformed (2 empty, 1 not JSON)\n"
        "          14 calls with 19 attempts (1 attempt not seen, 2 calls ambiguous), 2 orphan attempts\n"
        "          20 spans delivered\n"
        "          1 call seen by a nested csm-otel exec instead\n"
        "          1 datagram with such a count\n"
        "          11 spans dropped (6 not delivered in time at shutdown, 5 as the queue was full)\n"
        "          3 spans rejected by the back end\n"
        "          2 spans not sampled\n"
        "          4 spans not delivered yet\n"
        "          2 of the calls and attempts released early, as too many were pending\n"
        "          1 of the orphan attempts are from a process that ended before its call did\n"
        "          9 of the calls and orphans are from a process that could not be identified\n"
        "          4 datagrams not decoded, from outside the allowed networks\n"
        "          1 object ignored, beside the events of a datagram (1 too many in one datagram)\n"
        "          1 event of another CSM version, decoded as far as possible\n"
        "          12 datagrams dropped by the kernel before this start, not in these counts\n"
        "          2 datagrams arrived too late, after the end of the command or of the daemon\n"
    )


def test_each_reason_not_to_forward_has_words() -> None:
    """So has each reason why an event was not forwarded, by the row of its metric."""
    metrics = Path(__file__).parents[2].joinpath("docs/metrics.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"`csm_otel.events.forwarded` .* whose `error.type` is (.*) \|", metrics)
    reasons = re.findall(r"`(\w+)`", row)
    assert len(reasons) == 4
    assert "_" not in render_tally(_clean(events_not_forwarded=Counter(reasons)))


def test_each_reason_has_words() -> None:
    """Each reason for a dropped span or a malformed datagram has words, rather than the name it has in metrics."""
    metrics = Path(__file__).parents[2].joinpath("docs/metrics.md").read_text(encoding="utf-8")
    lists = re.findall(r"(?:it has no event|as `error.type`): (.*) \|", metrics)
    invalid, dropped = (re.findall(r"`(\w+)`", one) for one in lists)
    assert {"not_json", "shutdown"} <= {*invalid, *dropped}
    text = render_tally(_clean(malformed=Counter(invalid), spans_dropped=Counter(dropped)))
    assert "_" not in text
    assert "1 not delivered in time at shutdown" in text


def test_unknown_kernel_drops_are_not_called_zero() -> None:
    """If the system does not count drops, the tally says so."""
    assert render_tally(Tally()) == CLEAN.replace("0 dropped by the kernel", "kernel drops unknown")


def test_the_intake_of_each_socket() -> None:
    """If several sockets received datagrams each of them has a line; idle ones have none."""
    four = SocketCounters(("127.0.0.1", 31000), 1200, 7, 8_388_608)
    six, idle = SocketCounters(("::1", 31000), 34, None, 425_984), SocketCounters(("10.0.0.1", 31000), 0, 0, 1)

    text = render_tally(_clean(sockets=(four, six, idle)))

    assert text.splitlines()[1:3] == [
        "          1,200 at 127.0.0.1:31000, 7 dropped by the kernel, receive buffer 8,388,608 bytes",
        "          34 at [::1]:31000, kernel drops unknown, receive buffer 425,984 bytes",
    ]
    assert "10.0.0.1" not in text
    assert render_tally(_clean(sockets=(four, idle))) == CLEAN


# Sums of counts that are printed.
_SUMS = {"datagrams_decoded", "attempts_in_calls"}


@pytest.mark.parametrize("name", [each.name for each in fields(Tally) if each.name not in _SUMS])
def test_no_count_is_left_out(name: str) -> None:
    """Every count of the tally is printed: a new field cannot be forgotten."""
    if name == "sockets":
        value: object = (SocketCounters(("::1", 1), 41, 0, 1), SocketCounters(("::2", 1), 1, 0, 1))
    elif name in {"released", "orphans", "malformed", "objects_rejected", "spans_dropped", "events_not_forwarded"}:
        value = Counter({"evicted": 41})
    else:
        value = 41
    text = render_tally(_clean(**{name: value}))
    # Spans created and not delivered are printed as such; the orphans are among the attempts.
    assert "41" in text
    assert render_tally(_clean()) == CLEAN
    assert text.isascii()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"spans_shown": 1}, True, id="nothing-received"),
        pytest.param({"datagrams_dropped_by_kernel": None}, True, id="drops-unknown"),
        pytest.param({"datagrams_received": 2, "reports": 2, "calls_reported": 3}, True, id="nested"),
        pytest.param({"datagrams_received": 1}, False, id="received"),
        pytest.param({"datagrams_dropped_by_kernel": 1}, False, id="dropped"),
        pytest.param({"datagrams_late": 1}, False, id="late"),
        pytest.param({"spans_spooled": 1}, False, id="span-in-the-spool"),
    ],
)
def test_uneventful(counts: dict[str, object], *, expected: bool) -> None:
    """A run is uneventful if nothing was received, nothing lost and every span went where it was to go."""
    assert is_uneventful(_clean(**counts)) is expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"datagrams_dropped_by_kernel": None}, "", id="unknown"),
        pytest.param({"datagrams_dropped_by_kernel": 1}, "1 datagram dropped by the kernel", id="kernel"),
        pytest.param(
            {"malformed": Counter(not_json=2, empty=1)}, "3 datagrams malformed (2 not JSON, 1 empty)", id="malformed"
        ),
        pytest.param(
            {"datagrams_dropped_by_kernel": 1_000, "objects_rejected": Counter(not_an_object=1)},
            "1,000 datagrams dropped by the kernel, 1 object malformed (1 not a JSON object)",
            id="several",
        ),
    ],
)
def test_losses_of_a_recording(counts: dict[str, object], expected: str) -> None:
    """What is not in the calls of a recording is on one line; without losses there is none."""
    assert render_losses(_clean(**counts)) == expected
