"""Commands in, codes of findings out; none of them is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csm_otel.doctor.command import check_command, interpreter_of

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path, text: str = "") -> Path:
    """Make an executable file that fails if it is run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "no program", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("argv", "codes"),
    [
        pytest.param(["./x"], ["command-not-found"], id="no-such-file"),
        pytest.param(["tool"], [], id="plain"),
        pytest.param(["tool", "sudo"], [], id="argument"),
        pytest.param(["sudo", "tool"], ["environment-lost"], id="sudo"),
        pytest.param(["sudo", "-E", "tool"], [], id="sudo-E"),
        pytest.param(["sudo", "--preserve-env=AWS_CSM_ENABLED", "tool"], [], id="sudo-some"),
        pytest.param(["env", "-i", "tool"], ["environment-lost"], id="env-i"),
        pytest.param(["env", "A=b", "tool"], [], id="env"),
        pytest.param(["env", "-i", "AWS_CSM_ENABLED=true", "tool"], [], id="env-i-and-set"),
        pytest.param(["env", "-u", "AWS_CSM_ENABLED", "tool"], ["environment-lost"], id="env-u"),
        pytest.param(["env", "AWS_CSM_ENABLED=false", "tool"], ["environment-lost"], id="env-sets"),
        pytest.param(["sudo", "-u", "root", "A=b", "tool", "-E"], ["environment-lost"], id="sudo-options"),
        pytest.param(["env", "sudo", "gone"], ["environment-lost", "command-not-found"], id="wrapped"),
        pytest.param(["sudo", "-nE", "orphan"], ["interpreter-missing"], id="behind-sudo"),
        pytest.param(["sudo"], [], id="sudo-alone"),
        pytest.param(["by-shim"], [], id="shim"),
        pytest.param(["ssh", "host", "tool"], ["environment-lost"], id="ssh"),
        pytest.param(["docker", "run", "image"], ["environment-lost"], id="docker-run"),
        pytest.param(["docker", "ps"], [], id="docker-ps"),
        pytest.param(["docker-compose", "run", "app"], ["environment-lost"], id="docker-compose"),
        pytest.param(["su", "-", "user"], ["environment-lost"], id="su"),
        pytest.param(["su", "user"], [], id="su-that-keeps"),
        pytest.param(["runuser", "-l", "user"], ["environment-lost"], id="runuser"),
        pytest.param(["systemd-run", "tool"], ["environment-lost"], id="systemd-run"),
        pytest.param(["systemd-run", "--scope", "tool"], [], id="systemd-run-that-keeps"),
        pytest.param(["sh", "-c", "systemd-run tool"], ["environment-lost"], id="systemd-run-in-a-script"),
        pytest.param(["pkexec", "tool"], ["environment-lost"], id="pkexec"),
        pytest.param(["gone"], ["command-not-found"], id="not-found"),
        pytest.param(["sh", "-c", "a; sudo b; sudo c"], ["environment-lost"], id="shell-code"),
        pytest.param(["sh", "-ec", "sudo -E b"], [], id="shell-code-that-keeps"),
        pytest.param(["sh", "-c", "unset AWS_CSM_ENABLED; b"], ["environment-lost"], id="shell-unset"),
        pytest.param(["sh", "-c", "AWS_CSM_ENABLED='true' b"], [], id="shell-sets-true"),
        pytest.param(["sh", "-c", "# AWS_CSM_ENABLED=1\na # unset AWS_CSM_ENABLED"], [], id="shell-comments"),
        pytest.param(["sh", "-c", "AWS_CSM_ENABLED=1 b"], ["environment-lost"], id="shell-sets"),
        pytest.param(["sh", "deploy.sh"], ["environment-lost"] * 2, id="shell-script"),
        pytest.param(["by-shell"], ["environment-lost"], id="shell-shebang"),
        pytest.param(["sh", "gone.sh"], [], id="shell-without-script"),
        pytest.param(["sh"], [], id="shell-alone"),
        pytest.param(["script"], [], id="shebang"),
        pytest.param(["orphan"], ["interpreter-missing"], id="no-interpreter"),
        pytest.param(["by-env"], ["interpreter-missing"], id="no-interpreter-on-path"),
    ],
)
def test_codes(argv: list[str], codes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrappers, the PATH, the first line and shell scripts are looked at."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "tool",
        "sudo",
        "env",
        "ssh",
        "docker",
        "docker-compose",
        "su",
        "runuser",
        "systemd-run",
        "pkexec",
        "sh",
    ):
        program(tmp_path / name)
    program(tmp_path / "script", f"#!{tmp_path}/tool -x\n")
    program(tmp_path / "python3", f"#!{tmp_path}/tool\n")
    program(tmp_path / "by-shim", "#!/usr/bin/env python3\n")
    program(tmp_path / "by-shell", f"#!{tmp_path}/sh\nssh host aws s3 ls\n")
    program(tmp_path / "deploy.sh", "docker run image\nif x; then env -i aws s3 ls; fi\n")
    program(tmp_path / "orphan", "#!/nowhere/ruby\n")
    program(tmp_path / "by-env", "#!/usr/bin/env -S A=b nowhere\n")
    checked = check_command(argv, {"PATH": str(tmp_path)})

    assert [one.code for one in checked.findings] == codes


def test_interpreter(tmp_path: Path) -> None:
    """It is the program of the first line, for env the one it starts."""
    tool = program(tmp_path / "tool")
    environ = {"PATH": str(tmp_path)}

    assert interpreter_of(program(tmp_path / "a", f"#!{tool}\n"), environ) == (str(tool), tool)
    assert interpreter_of(program(tmp_path / "b", "#!/usr/bin/env tool\n"), environ) == ("tool", tool)
    assert interpreter_of(program(tmp_path / "c", "echo\n"), environ) is None
    assert interpreter_of(tmp_path / "gone", environ) is None
