"""A summary as JUnit XML, a test case for each rule and for each operation that failed: `render_junit`.

It keeps to the schema of Jenkins' xUnit plugin, which GitLab and others read as well. What failed and did not matter is
a skipped case, as other tools write expected failures: a failed one would make a pipeline fail, or unstable.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # ruff: ignore[suspicious-xml-etree-import] - it writes

from csm_otel.report.failed import most_serious_first, result_of
from csm_otel.report.findings import Weight, explained, weight_of
from csm_otel.report.terminal import counted, printable, shown
from csm_otel.report.verdict import why_broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csm_otel.summary.model import FailureGroup, Summary
    from csm_otel.verdict.judgement import Judgement

_MAX_COLUMNS = 300
_NOT_IN_CLASSES = re.compile(r"\W+")
_MS_PER_SECOND = 1_000


def render_junit(summary: Summary, judgement: Judgement | None = None, *, trace_url: str = "") -> bytes:
    """Return the document. Names of classes and cases are the same in each run of a command."""
    of_what = _NOT_IN_CLASSES.sub("_", printable(summary.run.name)).strip("_") or "aws"
    suites = ET.Element("testsuites", name="csm-otel")
    if judgement is not None:
        _add_suite(suites, "rules", list(_rules(judgement, of_what)), seconds=0)
    operations = list(_operations(summary, of_what, trace_url))
    _add_suite(suites, "operations", operations, seconds=summary.times.wall_ms / _MS_PER_SECOND)
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, 0)) for suite in suites)))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'.encode()


def _add_suite(suites: ET.Element, name: str, cases: Sequence[ET.Element], *, seconds: float) -> None:
    counts = {
        noun: str(sum(case.find(tag) is not None for case in cases))
        for noun, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ET.SubElement(suites, "testsuite", counts, name=name, tests=str(len(cases)), time=f"{seconds:.3f}")
    suite.extend(cases)


def _rules(judgement: Judgement, of_what: str) -> Iterator[ET.Element]:
    """Yield a case for each rule, and one for the baseline."""
    broken = {one.rule: one for one in judgement.broken}
    for rule in judgement.rules:
        case = _case(f"{of_what}.rules", rule)
        if one := broken.get(rule):
            examples = () if one.values else one.examples  # of a measure: any calls, not those that exceeded it
            _add_result(case, "failure", "rule", why_broken(one), examples)
        yield case
    if judgement.baseline is None and not judgement.baseline_failure:
        return
    case = _case(f"{of_what}.rules", "baseline")
    if judgement.baseline_failure:
        _add_result(case, "error", "baseline", judgement.baseline_failure, ())
    yield case


def _operations(summary: Summary, of_what: str, trace_url: str) -> Iterator[ET.Element]:
    """Yield a case for each operation that failed, in order of names."""
    times = {use.name: use.total_ms for use in summary.operations}
    failures = sorted(summary.failures, key=_name)
    for name, found in groupby(failures, key=_name):
        groups = most_serious_first(found)
        case = _case(f"{of_what}.operations", name, seconds=times.get(name, 0) / _MS_PER_SECOND)
        lines = [f"{result_of(group)}: {explained(group, summary.run.start_ns)}" for group in groups]
        lines += [f"Trace: {trace_url}"] if trace_url else []
        if weight_of(groups[0].effect) is Weight.ERROR:
            number = counted(sum(group.count for group in groups), "failure")
            _add_result(case, "failure", groups[0].error, f"{number}: {result_of(groups[0])}", lines)
        else:
            ET.SubElement(case, "skipped").text = _joined(lines)
        yield case


def _case(class_name: str, name: str, *, seconds: float = 0) -> ET.Element:
    return ET.Element("testcase", classname=class_name, name=_shown(name), time=f"{seconds:.3f}")


def _add_result(case: ET.Element, tag: str, kind: str, message: str, lines: Sequence[str]) -> None:
    result = ET.SubElement(case, tag, type=_shown(kind), message=_shown(message))
    result.text = _joined(lines or [message])


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(map(printable, lines))


def _shown(text: str) -> str:
    """Return a text without control characters, some of which XML cannot have in any form."""
    return shown(text, _MAX_COLUMNS)


def _name(group: FailureGroup) -> str:
    return group.name
