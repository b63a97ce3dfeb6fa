"""Which files are written for pipelines, and what is said if one cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.test_report_files import calls_of, summary
from junitparser import JUnitXml
from traced import TRACE_ID

from csm_otel.commands.report_files import RunResult
from csm_otel.commands.summaries import write_summaries
from csm_otel.config.settings import Settings

TRACE_URL = "http://localhost:16686/trace/{trace_id}"
JOB = "https://gitlab.example/group/project/-/jobs/7"


def test_each_file(tmp_path: Path) -> None:
    """They have the address of the trace, and that of the report if it is in the project."""
    said: list[str] = []
    settings = Settings(
        markdown=tmp_path / "run.md",
        junit=tmp_path / "junit.xml",
        gitlab_annotations=tmp_path / "links.json",
        report=tmp_path / "report.html",
        trace_url=TRACE_URL,
    )
    (tmp_path / "report.html").touch()
    environ = {"CI_JOB_URL": JOB, "CI_PROJECT_DIR": str(tmp_path)}
    assert write_summaries(settings, RunResult(summary(), calls_of()), environ, say=said.append)
    assert said == []
    trace_url = TRACE_URL.replace("{trace_id}", f"{TRACE_ID:032x}")
    assert f"(<{trace_url}>)" in (tmp_path / "run.md").read_text("utf-8")
    assert [suite.name for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml"))] == ["operations"]
    links = json.loads((tmp_path / "links.json").read_bytes())["csm-otel"]
    assert [link["external_link"]["url"] for link in links] == [trace_url, f"{JOB}/artifacts/file/report.html"]


def test_credentials_of_the_job(tmp_path: Path) -> None:
    """The link is shown to all who see the job."""
    (tmp_path / "report.html").touch()
    settings = Settings(gitlab_annotations=tmp_path / "links.json", report=tmp_path / "report.html")
    environ = {"CI_JOB_URL": JOB.replace("//", "//user:secret@"), "CI_PROJECT_DIR": str(tmp_path)}
    assert write_summaries(settings, RunResult(summary(), calls_of()), environ, say=print)
    (link,) = json.loads((tmp_path / "links.json").read_bytes())["csm-otel"]
    assert link["external_link"]["url"] == f"{JOB}/artifacts/file/report.html"


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="not-in-gitlab"),
        pytest.param({"CI_JOB_URL": "javascript:alert(1)", "CI_PROJECT_DIR": "/"}, id="no-page"),
        pytest.param({"CI_JOB_URL": JOB, "CI_PROJECT_DIR": "/elsewhere"}, id="outside"),
    ],
)
def test_no_links(environ: dict[str, str], tmp_path: Path) -> None:
    """A document without links is written, too, as a job fails to upload what is not there."""
    (tmp_path / "report.html").touch()
    settings = Settings(gitlab_annotations=tmp_path / "links.json", report=tmp_path / "report.html")
    assert write_summaries(settings, RunResult(summary(), calls_of()), environ, say=print)
    assert json.loads((tmp_path / "links.json").read_bytes()) == {"csm-otel": []}


@pytest.mark.parametrize("report", ["missing.html", "circle"])
def test_no_report(report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no link to a report that could not be written, nor where the current folder has been removed."""
    (tmp_path / "circle").symlink_to("circle")
    settings = Settings(gitlab_annotations=tmp_path / "links.json", report=tmp_path / report)
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    environ = {"CI_JOB_URL": JOB, "CI_PROJECT_DIR": str(tmp_path)}
    for one in (settings, settings._replace(report=Path("report.html"))):
        assert write_summaries(one, RunResult(summary(), calls_of()), environ, say=print)
        assert json.loads((tmp_path / "links.json").read_bytes()) == {"csm-otel": []}


def test_not_written(tmp_path: Path) -> None:
    """Each file that cannot be written is one line, and the others are written."""
    said: list[str] = []
    settings = Settings(
        markdown=tmp_path / "run.md", step_summary=True, junit=tmp_path, gitlab_annotations=tmp_path / "no" / "file"
    )
    assert not write_summaries(settings, RunResult(summary(), calls_of()), {}, say=said.append)
    assert said == [
        "--step-summary: GITHUB_STEP_SUMMARY is not set",
        f"--junit: {tmp_path}: is a directory",
        f"--gitlab-annotations: {tmp_path}/no/file: no such file or directory",
    ]
    assert (tmp_path / "run.md").exists()
