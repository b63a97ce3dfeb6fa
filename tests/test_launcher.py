"""The installed script: what the environment says to Python reaches the command of ``exec``, and no code of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2e.programs import DEADLINE_SECONDS
from hatchling.builders.wheel import WheelBuilder
from otlp_backend import HttpBackend
from platforms import on_linux

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
LAUNCHER = ROOT / "scripts/launcher.py"
_ADDED_BY_EXEC = ("AWS_CSM_", "TRACEPARENT")
# Those that break a program which imports them: they are empty. `csm_otel` is ours.
_SHADOWING = (
    "enum.py",
    "logging.py",
    "re.py",
    "__future__.py",
    "threading.py",
    "google/__init__.py",
    "csm_otel/__init__.py",
)
# As an auto-instrumentation does it: it patches the HTTP client, and takes itself out of the environment.
_INSTRUMENTATION = """
import os
import urllib3.connectionpool

def log(self, method, url, *rest, _original=urllib3.connectionpool.HTTPConnectionPool.urlopen, **more):
    with open(os.environ["SEEN"], "a") as file:
        file.write(url + chr(10))
    return _original(self, method, url, *rest, **more)

urllib3.connectionpool.HTTPConnectionPool.urlopen = log
os.environ.pop("PYTHONPATH")
os.environ["INSTRUMENTED"] = "true"
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment without variables of Python, OpenTelemetry or csm-otel."""
    prefixes = ("PYTHON", "OTEL_", "CSM_OTEL_", "AWS_", "TRACE")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | more


def run(
    *words: str | Path, env: Mapping[str, str], python: str | Path = sys.executable, script: str | Path = LAUNCHER
) -> subprocess.CompletedProcess[str]:
    """Run the script as the kernel does by its first line."""
    return subprocess.run(
        [python, script, *words], env=env, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Return the folder, with these files in it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_modules_of_the_command(tmp_path: Path) -> None:
    """Modules in PYTHONPATH that have names of ours, of a library's or of the standard ones are the command's alone."""
    folder = written(tmp_path, dict.fromkeys(_SHADOWING, ""))

    done = run("exec", "--", "sh", "-c", "echo $PYTHONPATH; exit 7", env=environment(PYTHONPATH=str(folder)))

    assert (done.returncode, done.stdout) == (7, f"{folder}\n")
    assert ", exit 7; " in done.stderr
    assert "failed" not in done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"PYTHONINSPECT": "1"}, id="prompt-at-the-end"),
        pytest.param({"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}, id="warnings"),
        pytest.param({"PYTHONOPTIMIZE": "2", "PYTHONTRACEMALLOC": "3", "PYTHONASYNCIODEBUG": "1"}, id="other-modes"),
        pytest.param({"PYTHONIOENCODING": "utf-16"}, id="encoding"),
        pytest.param({"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "cpp"}, id="library"),
    ],
)
def test_modes_of_the_command(variables: dict[str, str]) -> None:
    """A mode that is asked of Python or a library is the command's alone: csm-otel's own lines are as ever."""
    shown = ["sh", "-c", "env | grep -E '^(PYTHON|PROTOCOL)' | sort; exit 7"]
    done = run("exec", "--", *shown, env=environment(**variables))

    assert (done.returncode, done.stdout) == (7, "".join(f"{name}={variables[name]}\n" for name in sorted(variables)))
    [line] = done.stderr.splitlines()
    assert line.startswith("csm-otel: no AWS calls seen in ")


@on_linux
def test_instrumentation_of_the_command(tmp_path: Path) -> None:
    """An instrumentation in PYTHONPATH sees requests of the command, but none of csm-otel to its back end."""
    folder = written(tmp_path, {"sitecustomize.py": _INSTRUMENTATION})
    seen = tmp_path / "seen"
    with HttpBackend() as backend:
        get = f"import urllib3; urllib3.PoolManager().request('GET', '{backend.url}/of-the-command')"
        env = environment(PYTHONPATH=str(folder), SEEN=str(seen), OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        done = run("exec", "--", sys.executable, "-c", get, env=env)

        assert done.returncode == 0
        assert len(backend.spans) == 1
    assert seen.read_text() == "/v1/traces/of-the-command\n"


@on_linux
@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LANG": "C"}, {"LANG": "C", "LC_CTYPE": "C.UTF-8"}], ids=str)
def test_the_environment_is_passed_on_unchanged(tmp_path: Path, locale: dict[str, str]) -> None:
    """The command gets each variable as given, whatever a ``sitecustomize`` or Python in the C locale has changed."""
    folder = written(tmp_path, {"sitecustomize.py": "import os; os.environ.clear(); os.environ['ADDED'] = 'x'"})
    given = {
        b"PATH": os.environb[b"PATH"],
        b"PYTHONPATH": os.fsencode(folder),
        b"BASH_FUNC_module%%": b"() {  :\n}",
        b"EMPTY": b"",
        b"EQUAL": b"a=b=c",
        b"LATIN": b"\xe4",
        **{os.fsencode(name): os.fsencode(value) for name, value in locale.items()},
    }

    words = [sys.executable, str(LAUNCHER), "exec", "--quiet", "--", "env", "-0"]
    done = subprocess.run(words, env=given, capture_output=True, timeout=DEADLINE_SECONDS, check=True)

    got = dict(pair.split(b"=", 1) for pair in done.stdout.split(b"\0") if pair)
    assert {name: got[name] for name in got if not name.startswith(tuple(map(str.encode, _ADDED_BY_EXEC)))} == given


@on_linux
@pytest.mark.parametrize(
    ("variables", "flags"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"PYTHONUNBUFFERED": "1", "PYTHON_VERSION": "3.13.1", "OTEL_PYTHON_X": "1"}, [], id="harmless"),
        pytest.param({"PYTHONHOME": sys.base_prefix}, ["-I"], id="isolated"),
        pytest.param({"PYTHONVERBOSE": "", "PYTHONDONTWRITEBYTECODE": "1"}, ["-I", "-B"], id="without-bytecode-files"),
    ],
)
def test_a_second_start_only_where_it_matters(variables: dict[str, str], flags: list[str]) -> None:
    """Without a variable that would reach the interpreter, it is started once; else again, as the same process."""
    shown = ["sh", "-c", "tr '\\0' '\\n' < /proc/$PPID/cmdline"]
    done = run("exec", "--quiet", "--", *shown, env=environment(**variables))

    words = [sys.executable, *flags, str(LAUNCHER), "exec", "--quiet", "--", *shown]
    assert done.stdout.splitlines() == words


def test_programs_beside_it(tmp_path: Path) -> None:
    """The folder that the script is installed in is not searched for modules: any program may be there."""
    script = shutil.copy(LAUNCHER, tmp_path / "csm-otel")
    written(tmp_path, {"json.py": "raise SystemExit(9)", "signal.py": "raise SystemExit(9)"})

    assert run("--version", env=environment(), script=script).returncode == 0


def test_a_package_that_only_a_variable_leads_to(tmp_path: Path) -> None:
    """Where PYTHONPATH leads to csm-otel and its dependencies, they are found, but behind the standard library."""
    venv.create(tmp_path / "venv", symlinks=True)
    folder = written(tmp_path / "modules", {"enum.py": "", "sitecustomize.py": ""})
    path = os.pathsep.join(map(str, (folder, ROOT, sysconfig.get_path("purelib"))))

    done = run("exec", "--", "true", env=environment(PYTHONPATH=path), python=tmp_path / "venv/bin/python")

    assert done.returncode == 0
    assert "no AWS calls seen" in done.stderr


def test_a_package_that_only_the_home_leads_to(tmp_path: Path) -> None:
    """Where it is installed for one user it is found, but nothing customizes its interpreter."""
    env = environment(HOME=str(tmp_path))
    python = Path(sys.base_exec_prefix, f"bin/python{sys.version_info.major}.{sys.version_info.minor}")
    folder = run("--user-site", env=env, python=python, script="-msite").stdout.strip()
    files = {
        "here.pth": f"{ROOT}\n{sysconfig.get_path('purelib')}\n",
        "usercustomize.py": "import sys; sys.modules['enum'] = None",
    }
    written(Path(folder), files)

    done = run("exec", "--", "sh", "-c", "exit 7", env=env, python=python)

    assert done.returncode == 7
    assert ", exit 7; " in done.stderr


def test_installed_as_it_is(tmp_path: Path) -> None:
    """The wheel has the script with the first line that installers replace, and the test environment has it as well."""
    body = LAUNCHER.read_text().partition("\n")[2]
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".data/scripts/csm-otel"))
        assert file.read(name).decode() == f"#!python\n{body}"
        assert not [name for name in file.namelist() if name.endswith("entry_points.txt")]

    first, _, rest = Path(sys.executable).with_name("csm-otel").read_text().partition("\n")
    assert first.startswith(f"#!{Path(sys.executable).parent}/python")
    assert rest == body
