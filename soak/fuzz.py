"""Search for bytes that break a law, guided by coverage: ``python -m soak.fuzz LAW --seconds 60``.

Needs atheris (dependency group ``soak``). Ends with 0 if none was found.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from soak.table import Row

_MAX_BYTES = 8192  # botocore's largest; more makes each try slower, not better
_MARGIN_SECONDS = 120.0


def main() -> None:
    """Run one law under atheris, which ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("law", choices=("decoding", "correlator"))
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["csm_otel"]):
        laws = importlib.import_module("soak.laws")
    with tempfile.TemporaryDirectory() as folder:
        for sample in laws.scripts() if asked.law == "correlator" else _captured():
            Path(folder, hashlib.sha256(sample).hexdigest()).write_bytes(sample)
        options = [f"-max_total_time={asked.seconds}", f"-max_len={_MAX_BYTES}", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", "-timeout=20", folder], laws.LAWS[asked.law])
        atheris.Fuzz()


def _captured() -> list[bytes]:
    from soak.loads import captured  # ruff: ignore[import-outside-top-level] - what it loads need not be instrumented

    return captured()


def fuzz(law: str, *, seconds: int) -> list[Row]:
    """Fuzz a law in a separate process."""
    about, bar = f"{seconds} s of guided fuzzing, {law}", "no law broken"
    try:
        importlib.import_module("atheris")
    except ImportError:
        return [Row(about, bar, "atheris is not installed", None)]
    done = subprocess.run(
        [sys.executable, "-m", "soak.fuzz", law, "--seconds", str(seconds)],
        capture_output=True,
        timeout=seconds + _MARGIN_SECONDS,
        check=False,
    )
    stderr = done.stderr.decode("utf-8", "replace")
    runs = re.findall(r"^#(\d+)\s.*?cov: (\d+)", stderr, re.MULTILINE)
    measured = f"{int(runs[-1][0]):,} inputs, {int(runs[-1][1]):,} edges" if runs else "nothing was run"
    is_held = done.returncode == 0 and bool(runs)
    if not is_held:
        print(stderr, file=sys.stderr)
    return [Row(about, bar, measured, is_held)]


if __name__ == "__main__":
    main()
