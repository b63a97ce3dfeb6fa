"""Links on the page of a GitLab job."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from traced import command

from csm_otel.report.gitlab import artifact_url, render_links
from csm_otel.summary.builder import SummaryBuilder

TRACE = "http://localhost:16686/trace/4b"
JOB = "https://gitlab.example/group/project/-/jobs/7"


@pytest.mark.parametrize(
    ("name", "urls", "expected"),
    [
        pytest.param("legacy.py", {}, [], id="none"),
        pytest.param("legacy.py", {"trace_url": TRACE}, [("Trace of legacy.py", TRACE)], id="trace"),
        pytest.param(
            "a\x1b\ud800\u202e" + "b" * 200,
            {"trace_url": TRACE, "report_url": JOB},
            [("Trace of a" + "b" * 118 + "…", TRACE), ("Report of a" + "b" * 118 + "…", JOB)],
            id="hostile",
        ),
    ],
)
def test_links(name: str, urls: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """The document has one section, with the links that there are."""
    builder = SummaryBuilder()
    builder.add([command(name=name)])
    found = json.loads(render_links(builder.build(), **urls))
    assert found == {"csm-otel": [{"external_link": {"label": label, "url": url}} for label, url in expected]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/builds/p/report.html", f"{JOB}/artifacts/file/report.html", id="file"),
        pytest.param("/builds/p/a b/r#1.html", f"{JOB}/artifacts/file/a%20b/r%231.html", id="quoted"),
        pytest.param("/builds/p/caf\udce9.html", f"{JOB}/artifacts/file/caf%E9.html", id="not-utf-8"),
        pytest.param("/tmp/report.html", "", id="outside"),
        pytest.param("/builds/project/report.html", "", id="another-project"),
    ],
)
def test_artifact_url(path: str, expected: str) -> None:
    """A file below the project has an address; whether it is kept as an artifact is the job's."""
    assert artifact_url(JOB, PurePosixPath("/builds/p"), PurePosixPath(path)) == expected
