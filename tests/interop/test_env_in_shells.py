"""`csm-otel env` in shells that not every machine has."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from e2e.programs import CSM_OTEL, environment
from e2e.test_env import NAME, PARENT, PRINT
from interop.install_packagers import why_no_shells

pytestmark = pytest.mark.skipif(bool(why_no_shells()), reason=f"{why_no_shells()}")
_ENV = shlex.join([*CSM_OTEL, "env"])


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        pytest.param("zsh", f'eval "$({_ENV})"\n{PRINT}\neval "$({_ENV} --unset)"\n{PRINT}\n', id="zsh"),
        pytest.param(
            "fish",
            f"{_ENV} --format fish | source\n{PRINT}\n{_ENV} --format fish --unset | source\n{PRINT}\n",
            id="fish",
        ),
    ],
)
def test_a_shell_reads_it(shell: str, script: str) -> None:
    """Its variables are those of the commands after it, until they are removed."""
    done = subprocess.run(
        (shell, "-c", script),
        env=environment(CSM_OTEL_NAME=NAME, TRACEPARENT=PARENT),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{NAME};{PARENT}\n-\n", "")
