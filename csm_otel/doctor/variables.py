"""Check the variables of csm-otel and of OpenTelemetry: what is invalid, misread, or exports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Checked, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csm_otel.config.configuration import Configuration
    from csm_otel.errors import Fault

_DISABLED, _EXPORTER, _SAMPLER = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER"


def check_variables(configuration: Configuration, faults: Sequence[Fault], environ: Mapping[str, str]) -> Checked:
    """Return the findings about variables; ``faults`` are those that cannot be used."""
    findings = settings_findings(faults)
    why = "The value looks as if it was meant otherwise."
    findings += [Finding("setting-misread", line, why, "correct the variable") for line in configuration.warnings]
    findings += _off_findings(configuration, environ)
    return Checked("settings", "; ".join(configuration.warnings) or "read", tuple(findings))


def settings_findings(faults: Sequence[Fault]) -> list[Finding]:
    """Return a finding for each variable that cannot be used."""
    why = "`serve`, `replay` and `flush` end with exit code 2; `exec` does without it."
    return [Finding("setting-invalid", str(fault), why, f"correct or unset {fault.name}") for fault in faults]


def _off_findings(configuration: Configuration, environ: Mapping[str, str]) -> list[Finding]:
    """Return a finding if variables keep all spans from being exported."""
    sampler = configuration.sampler
    if environ.get(_DISABLED, "").strip().lower() == "true":
        name = _DISABLED
    elif environ.get(_EXPORTER) and not configuration.exporters and not configuration.settings.file:
        name = _EXPORTER
    elif sampler.root == "always_off" or (sampler.root == "traceidratio" and not sampler.ratio):
        name = _SAMPLER
    else:
        return []
    what = f"{name} is {environ.get(name, '').strip()[:40]!r}"
    why = "Calls are received, and none is exported; a canary span is sent nonetheless."
    return [Finding("traces-off", what, why, f"unset {name}")]
