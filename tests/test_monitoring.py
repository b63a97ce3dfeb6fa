"""The names in docs/metrics.md, the dashboard and the alert rules; tests/interop/test_prometheus.py runs the rules."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from delivery.test_prometheus import Exposed

from csm_otel.csm.events import THROTTLING_ERRORS
from csm_otel.delivery.disk import SpoolUse
from csm_otel.spans.measures import ATTEMPT_DURATION, CALL_ATTEMPTS, CALL_DURATION
from csm_otel.tally import SocketCounters, Tally

MONITORING = Path(__file__).parents[1] / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DOCUMENT = (MONITORING.parent / "docs/metrics.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [target for panel in PANELS for target in panel.get("targets", ())]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for target in TARGETS]
GRID_WIDTH = 24
METRIC = re.compile(r"\b(?:csm_otel|rpc)_\w+")
LABELS = re.compile(r"\{([^}]*)\}")
GROUPS = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance"}


def exposed() -> tuple[set[str], set[str]]:
    """Return the names of all samples that a daemon may expose, and of all labels."""
    tally = Tally(
        sockets=(SocketCounters(("127.0.0.1", 31000), 1, 1, 1),),
        calls=1,
        spans_delivered=1,
        datagrams_not_allowed=1,
        events_forwarded=1,
    )
    for counts in (tally.malformed, tally.orphans, tally.spans_dropped):
        counts["any"] = 1
    daemon = Exposed(tally, spool=SpoolUse(1, 2))
    attributes = {
        "rpc.method": "S3/GetObject",
        "cloud.region": "r",
        "error.type": "e",
        "http.response.status_code": "1",
    }
    for name in (CALL_DURATION, CALL_ATTEMPTS, ATTEMPT_DURATION):
        daemon.record(name, 1, attributes=attributes)
    samples = [sample for family in daemon.families().values() for sample in family.samples]
    return {sample.name for sample in samples}, {label for sample in samples for label in sample.labels}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=itertools.count())
def test_expressions_are_of_what_is_exposed(expression: str) -> None:
    """Each metric and each label has the name that csm-otel gives it; a wrong one has no data, and no error."""
    samples, labels = exposed()
    metrics = METRIC.findall(GROUPS.sub("", LABELS.sub("", expression)))
    matched = re.findall(r"(\w+)(?:=~|!~|!=|=)\"", ", ".join(LABELS.findall(expression)))
    grouped = re.findall(r"\w+", ", ".join(GROUPS.findall(expression)))

    assert metrics
    assert set(metrics) <= samples
    assert {*matched, *grouped} <= labels | OF_PROMETHEUS


def test_the_document_names_what_is_exposed() -> None:
    """docs/metrics.md lists each name that is exposed, in full or by its end, and no other."""
    table = DOCUMENT.partition("| Metric | As exposed |\n")[2].partition("\n\n")[0]
    listed: list[str] = []
    for name in re.findall(r"`(\w+)`", table):
        listed.append(name if name[0] != "_" else listed[-1].rpartition("_")[0] + name)
    samples, _ = exposed()

    assert sorted(listed) == sorted(samples - {"target_info"})


@pytest.mark.parametrize("expression", [one for one in EXPRESSIONS if "SlowDown" in one], ids=itertools.count())
def test_throttling_is_what_csm_otel_knows_as_such(expression: str) -> None:
    """The error codes are those by which summaries and correlation recognise throttling."""
    (codes,) = set(re.findall(r'error_type=~"([^"]*SlowDown[^"]*)"', expression))

    assert sorted(THROTTLING_ERRORS) == codes.split("|")


def test_rules_are_complete() -> None:
    """Each of the five has a severity, and says in its own words what happened and what can be done."""
    assert len({rule["alert"] for rule in RULES}) == 5
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 40


def test_panels_share_the_grid() -> None:
    """No panel lies on another, or beyond the grid, and each has an id of its own."""
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= GRID_WIDTH
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_panels_can_be_imported() -> None:
    """Each has a type, a title and queries with ids, and the data source that is chosen, never its author's."""
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    variables = DASHBOARD["templating"]["list"]

    assert [one["name"] for one in variables] == ["datasource", "job", "instance", "operation"]
    assert {json.dumps(one["datasource"]) for one in variables if one["type"] == "query"} == {json.dumps(chosen)}
    assert {panel["type"] for panel in PANELS} == {"row", "stat", "timeseries"}
    for panel in PANELS:
        assert panel["title"]
        if panel["type"] == "row":
            continue
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids) > 0
        assert {json.dumps(one["datasource"]) for one in [panel, *panel["targets"]]} == {json.dumps(chosen)}


def test_each_panel_follows_the_variables() -> None:
    """Who chooses an instance sees that one everywhere."""
    for target in TARGETS:
        selectors = LABELS.findall(target["expr"])
        assert selectors
        assert all('job=~"$job", instance=~"$instance"' in selector for selector in selectors)
