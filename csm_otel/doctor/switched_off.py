"""Whether a script of Node.js, Ruby or PHP switches CSM off itself, by its text: `switched_off`."""

from __future__ import annotations

import re

from csm_otel.doctor.finding import Finding

_NAME = r"[\"']AWS_CSM_ENABLED[\"']"
_NOT_TRUE = r"\s*=(?!=|\s*[\"']true[\"'])"
_OFF = {
    "node": re.compile(
        rf"\bprocess\.env(?:\.AWS_CSM_ENABLED\b|\[{_NAME}\]){_NOT_TRUE}|\bdelete process\.env\.AWS_CSM_"
    ),
    "ruby": re.compile(
        rf"\bclient_side_monitoring(?::|[\"']?\s*=>)\s*false\b|\bENV\[{_NAME}\]{_NOT_TRUE}|\bENV\.delete\(?\s*{_NAME}"
    ),
    "php": re.compile(r"[\"']csm[\"']\s*=>\s*false\b|\bputenv\(\s*[\"']AWS_CSM_ENABLED(?!=true)"),
}
_COMMENTS = ("#", "//")
_BEFORE = 200  # characters of a line that are looked at for a comment: a minified script is one line


def switched_off(language: str, text: str) -> tuple[Finding, ...]:
    """Return the finding about a script in a language if it switches CSM off, but for what is behind a comment."""
    for found in _OFF[language].finditer(text):
        line = text[max(found.start() - _BEFORE, 0) : found.start()].rpartition("\n")[2]
        if not any(sign in line for sign in _COMMENTS):
            why = "What a script says wins over the variables that enable CSM."
            return (Finding("csm-off-in-script", "the script switches CSM off", why, f"remove it: {found[0].strip()}"),)
    return ()
