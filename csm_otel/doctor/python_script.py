"""Whether a Python script keeps the variables of CSM from an SDK, by its text: `python_script_findings`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from csm_otel.doctor.finding import environment_lost

if TYPE_CHECKING:
    from csm_otel.doctor.finding import Finding

_NAME = r"[\"']AWS_CSM_ENABLED[\"']"
_CHANGES = re.compile(
    rf"^[^#\n]*(?:\[{_NAME}\]\s*=(?!=|\s*[\"']true\b)|\.pop\(\s*{_NAME}|\bdel\s+os\.environ\[{_NAME}|\benviron\.clear\(\))",
    re.MULTILINE,
)
_WORDS_OF_CHANGES = ("AWS_CSM_ENABLED", "environ.clear")  # found a hundred times faster
_OWN_ENVIRONMENT = re.compile(r"^[^#\n]*\benv=\{(?![^}]{0,500}\benviron\b)", re.MULTILINE)
"""An argument of `subprocess.run` that takes nothing from this process's environment."""


def python_script_findings(text: str) -> list[Finding]:
    """Return the findings about a script; comments are not read, texts are."""
    findings = []
    if any(word in text for word in _WORDS_OF_CHANGES) and _CHANGES.search(text):
        findings.append(environment_lost("the script changes AWS_CSM_ENABLED", "leave AWS_CSM_ENABLED to csm-otel"))
    if "env={" in text and _OWN_ENVIRONMENT.search(text):
        what = "the script starts a program with an environment of its own"
        findings.append(environment_lost(what, "add this one to it: env={**os.environ, ...}"))
    return findings
