"""The documents agree with the code: settings, exit codes, attributes, commands, links, packaging."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import opentelemetry.environment_variables
import opentelemetry.sdk.environment_variables
import pytest
import yaml  # type: ignore[import-untyped]
from e2e.programs import SENDER
from interop import sdks
from packaging.requirements import Requirement
from service.health_runs import running_health

from csm_otel import __version__
from csm_otel.config.flags import FLAGS_OF, read_command_line
from csm_otel.config.settings import COMMANDS, PREFIX, SETTINGS
from csm_otel.config.standard import VARIABLES
from csm_otel.csm.events import THROTTLING_ERRORS
from csm_otel.spans import attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.config.setting import Setting

ROOT = Path(__file__).parent.parent
README, SETTINGS_DOCUMENT, SPANS = ROOT / "README.md", ROOT / "docs/settings.md", ROOT / "docs/spans.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

_CODE = re.compile(r"`([^`]+)`")


def rows(document: Path, *, section: str = "") -> Iterator[list[str]]:
    """Yield the cells of each row of a document's tables, or of one section's."""
    inside = not section
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and section:
            inside = line.lstrip("# ") == section
        if inside and line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def names(document: Path, section: str) -> dict[str, list[str]]:
    """Return the row of each name in the first cells of a section's table."""
    return {name: row for row in rows(document, section=section) for name in _CODE.findall(row[0])}


def shown_default(default: object) -> str:
    """Return the beginning of a default's cell."""
    if default in (None, "", ()):
        return "unset"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def shown_flag(setting: Setting) -> str:
    """Return the cell of a flag."""
    return f"`--[no-]{setting.flag[2:]}`" if setting.kind is bool else f"`{setting.flag}`"


@pytest.mark.parametrize("document", [README, SETTINGS_DOCUMENT], ids=lambda document: document.name)
def test_the_settings_tables_equal_the_code(document: Path) -> None:
    """Every setting has its row with flag, variable and default, and there are no other rows."""
    in_table = {row[1]: (row[0], row[2]) for row in rows(document) if row[1].startswith(f"`{PREFIX}")}
    assert in_table.keys() == {f"`{setting.variable}`" for setting in SETTINGS.values()}
    for setting in SETTINGS.values():
        flag, default = in_table[f"`{setting.variable}`"]
        assert flag == shown_flag(setting)
        assert default.split(" ")[0].rstrip(":") == shown_default(setting.default)


def test_the_commands_of_each_setting() -> None:
    """The table says which commands have a flag."""
    in_table = {row[1]: row[4] for row in rows(SETTINGS_DOCUMENT) if row[1].startswith(f"`{PREFIX}")}
    for setting in SETTINGS.values():
        commands = [command for command, flags in FLAGS_OF.items() if setting in flags]
        assert in_table[f"`{setting.variable}`"] == ", ".join(commands)


@pytest.mark.parametrize("document", [README, SETTINGS_DOCUMENT], ids=lambda document: document.name)
def test_the_default_deadlines(document: Path) -> None:
    """The default deadlines, which `--drain-seconds` overrides, are listed with their commands."""
    (default,) = [row[2] for row in rows(document) if row[0] == "`--drain-seconds`"]
    for command, seconds in SETTINGS["drain_seconds"].defaults.items():
        assert re.search(rf"{command} {seconds:g}\b|\b{seconds:g} for {command}", default), default


@pytest.mark.parametrize("command", FLAGS_OF)
def test_every_flag_of_the_help_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option in `--help` is in the README's and the settings' tables."""
    with pytest.raises(SystemExit):
        read_command_line([command, "--help"])
    listed = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert listed
    for document in (README, SETTINGS_DOCUMENT):
        flags = {name for row in rows(document) for name in _CODE.findall(row[0]) if name.startswith("--")}
        plain = {name.replace("[no-]", "") for name in flags}
        negated = {name.replace("[no-]", "no-") for name in flags if "[no-]" in name}
        assert listed <= plain | negated


def test_every_standard_variable_in_use_is_documented() -> None:
    """Each has its row, with the default where the code has one."""
    used = names(SETTINGS_DOCUMENT, "Standard variables in use")
    ignored = names(SETTINGS_DOCUMENT, "Standard variables that are ignored")
    for setting in VARIABLES.values():
        if setting.variable not in ignored:
            assert used[setting.variable][1].split(" ")[0].rstrip(":") == shown_default(setting.default)


def test_every_other_standard_variable_is_documented_as_ignored() -> None:
    """Every variable that the Python SDK knows is either in use or ignored with a reason, never both."""
    used = names(SETTINGS_DOCUMENT, "Standard variables in use")
    ignored = names(SETTINGS_DOCUMENT, "Standard variables that are ignored")
    known = {
        value
        for module in (opentelemetry.environment_variables, opentelemetry.sdk.environment_variables)
        for value in vars(module).values()
        if isinstance(value, str) and re.fullmatch(r"OTEL_[A-Z_]+", value) and not value.startswith("OTEL_PYTHON_")
    }
    assert known - used.keys() - ignored.keys() == set()
    assert used.keys() & ignored.keys() == set()
    assert [name for name, row in ignored.items() if not row[1]] == []


def test_ignored_variables_occur_in_no_code() -> None:
    """A variable that is documented as ignored is not read anywhere."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "csm_otel").rglob("*.py"))
    assert [name for name in names(SETTINGS_DOCUMENT, "Standard variables that are ignored") if name in code] == []


def test_each_exit_code_names_a_test_that_exists() -> None:
    """Every row of the exit-code table names an existing test, down to the case in its table."""
    in_table = list(rows(ROOT / "docs/exit-codes.md"))[1:]
    assert {(row[0], row[1]) for row in in_table} == {
        *(("serve", code) for code in ("0", "1", "2", "128+n")),
        *(("exec", code) for code in ("the command's", "128+n", "127", "126", "99", "2")),
        *(("replay", code) for code in ("0", "1", "2", "128+n")),
        *(("report", code) for code in ("0", "1", "99", "2", "128+n")),
        *(("flush", code) for code in ("0", "1", "2")),
        *(("env", code) for code in ("0", "1", "2")),
        *(("health", code) for code in ("0", "1", "2")),
        *(("doctor", code) for code in ("0", "1", "2")),
    }
    for row in in_table:
        found = re.fullmatch(r"`(?P<path>[\w/.]+)::(?P<test>\w+)(?:\[(?P<case>[^]]+)\])?`", row[3])
        assert found, row[3]
        tree = ast.parse((ROOT / found["path"]).read_text(encoding="utf-8"))
        (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == found["test"]]
        cases = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant)}
        assert found["case"] is None or found["case"] in cases


def test_every_attribute_of_our_own_is_documented() -> None:
    """The tables of exported attributes have each `csm.` attribute, and no other."""
    documented = {
        name for row in rows(SPANS) for name in _CODE.findall(row[0]) if re.match(r"csm\.(?!latency)", name)
    } | set(re.findall(r"`(csm\.orphan)`", SPANS.read_text(encoding="utf-8")))
    assert documented == {value for name, value in vars(attributes).items() if name.startswith("CSM_")}


def commands(document: Path) -> list[str]:
    """Return the command lines in a document's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8").replace("\\\n", ""), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    return [re.sub(r'^eval "\$\((.*)\)"', r"\1", line) for line in lines]


DOCKER_BUILD = ["docker", "build"]


def test_the_commands_of_the_documents_exist() -> None:
    """Each `csm-otel` line is accepted by the command line, each make target exists."""
    lines = [shlex.split(line, comments=True) for document in DOCUMENTS for line in commands(document)]
    ours = [line[line.index("csm-otel") + 1 :] for line in lines if "csm-otel" in line and line[:2] != DOCKER_BUILD]
    ours = [arguments or ["serve"] for arguments in ours]  # as the image has it
    assert {arguments[0] for arguments in ours} == set(COMMANDS)
    for arguments in ours:
        line = read_command_line(arguments)
        assert (line.subcommand, line.faults) == (arguments[0], [])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {line[1] for line in lines if line[0] == "make"}
    targets |= set(re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


_RUNS = ("csm-otel exec", "csm-otel report", "csm-otel replay")


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md", "docs/recordings.md"])
def test_the_examples_can_be_run(name: str, tmp_path: Path) -> None:
    """Each line that needs neither a network nor a daemon does what the page says, in a new folder."""
    document = ROOT / name
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "script.py").write_text(
        f"import runpy, sys; sys.argv[1:] = ['exit', '0']; runpy.run_path({str(SENDER)!r})"
    )
    for script in ("deploy.sh", "nightly.sh"):
        (tmp_path / script).write_text("#!/bin/sh\npython script.py\n")
        (tmp_path / script).chmod(0o755)
    (tmp_path / "aws-venv").symlink_to(sys.prefix)
    for block in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / "failing.py").write_text(block)
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "CSM_OTEL_FILE": str(tmp_path / "spans.jsonl"),  # which another example reads
    }
    ran: dict[str, str] = {}
    for line in commands(document):
        if line.startswith(_RUNS) and "/var/" not in line:
            done = subprocess.run(
                ["sh", "-c", line], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
            )
            ran[line] = done.stdout + done.stderr
            assert done.returncode == 0, (line, done.stderr)
            assert re.search(r"\d calls?, ", ran[line]), line
    assert len(ran) >= 4
    if name == "docs/getting-started.md":
        written = {path.name for path in tmp_path.iterdir()}
        assert {"report.html", "run.ndjson", "summary.json", "policy.json", "trace.json"} <= written
        failing = ran["csm-otel exec -- ~/aws-venv/bin/python failing.py"]
        assert "no backup today" in failing
        assert "EndpointConnectionError, 3 attempts" in failing


_SAMPLE = re.compile(r"<!-- from: (?P<command>csm-otel [^\n]*) -->\n```\n(?P<output>.*?)```", re.DOTALL)


def test_the_samples_are_what_is_printed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Output in the documents is that of the command beside it; a line `...` stands for lines that are left out."""
    monkeypatch.chdir(ROOT)
    samples = [found for document in DOCUMENTS for found in _SAMPLE.finditer(document.read_text(encoding="utf-8"))]
    assert len(samples) >= 2
    for found in samples:
        subprocess.run(
            [sys.executable, "-m", *found["command"].replace("csm-otel", "csm_otel", 1).split()],
            env={"PYTHONIOENCODING": "utf-8"},
            check=True,
        )
        printed, (first, *others) = capfd.readouterr().out, re.split(r"^\.\.\.\n", found["output"], flags=re.MULTILINE)
        assert printed.startswith(first)
        for part in others:
            assert part in printed
            printed = printed[printed.index(part) :]
        assert not others or printed.endswith(others[-1])
        assert others or printed == first


def test_the_pictures_are_what_is_printed(tmp_path: Path) -> None:
    """`scripts/pictures.py` would change nothing."""
    subprocess.run([sys.executable, ROOT / "scripts/pictures.py", tmp_path], check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made
    assert made == {name: (ROOT / "docs/pictures" / name).read_bytes() for name in made}


def test_the_versions_of_sdks_are_those_of_interop() -> None:
    """The page on SDKs names the version that `make interop` runs of each."""
    shown = {row[0]: row[2] for row in rows(ROOT / "docs/sdks.md", section="Coverage")}
    ran = {
        "boto3, botocore (Python)": (
            importlib.metadata.version("boto3"),
            *(pins[0].partition("==")[2] for pins in (sdks.FIRST_BOTO3_WITH_CSM, sdks.OLD_BOTO3_OF_TODAY)),
        ),
        "aiobotocore (Python)": (sdks.AIOBOTOCORE_VERSION,),
        "AWS CLI v1": (sdks.AWSCLI_VERSION,),
        "JavaScript v2, in Node.js": (sdks.JAVASCRIPT_VERSION,),
        "Go v1": (sdks.GO_VERSION,),
        "Java v1": (sdks.JAVA_VERSION,),
        "Ruby v3": ("Debian's",),
    }
    assert {name for name, by in shown.items() if "`make interop`" in by} == ran.keys()
    assert [name for name, versions in ran.items() if any(version not in shown[name] for version in versions)] == []


def test_the_recordings_are_those_of_the_captures(tmp_path: Path) -> None:
    """`scripts/sample_recordings.py` would change nothing."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    subprocess.run([sys.executable, ROOT / "scripts/sample_recordings.py", tmp_path], env=environ, check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (ROOT / "examples/captured-runs").glob("*.ndjson")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_are_valid(document: Path) -> None:
    """A relative link names a file of the repository, and a heading in it where it has one."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.read_text(encoding="utf-8")):
        path = (document.parent / target).resolve() if target else document
        assert path.is_file(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8") if anchor else "", re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in headings}


def test_the_changelog_has_this_version() -> None:
    """The package's version has its section, the first one."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^]]+)\]", changelog, re.MULTILINE)[0] == __version__


def test_the_collector_configuration() -> None:
    """It parses, has no unknown section, and its pipeline uses what is defined, the memory limiter first."""
    config = yaml.safe_load((ROOT / "collector-config/csm-otel.yaml").read_text(encoding="utf-8"))
    assert config.keys() == {"receivers", "processors", "exporters", "service"}
    assert config["service"].keys() == {"pipelines"}
    (pipeline,) = config["service"]["pipelines"].values()
    assert pipeline.keys() == {"receivers", "processors", "exporters"}
    for kind, used in pipeline.items():
        assert set(used) == config[kind].keys()
    assert pipeline["processors"] == ["memory_limiter", "batch"]
    protocols = config["receivers"]["otlp"]["protocols"]
    assert {name: protocol["endpoint"] for name, protocol in protocols.items()} == {
        "grpc": "${env:LISTEN_GRPC:-127.0.0.1:4317}",
        "http": "${env:LISTEN_HTTP:-127.0.0.1:4318}",
    }


def test_tail_sampling_knows_throttling() -> None:
    """The pattern of tail-sampling.yaml finds each error code by which csm-otel itself recognises throttling."""
    config = yaml.safe_load((ROOT / "collector-config/tail-sampling.yaml").read_text(encoding="utf-8"))
    policies = {policy["name"]: policy for policy in config["processors"]["tail_sampling"]["policies"]}
    (condition,) = policies["throttles"]["ottl_condition"]["span"]
    (pattern,) = re.findall(r', "(.+)"\)', condition)

    assert [code for code in (*THROTTLING_ERRORS, "429") if not re.search(pattern, code)] == []
    assert not re.search(pattern, "AccessDenied")


def test_the_image() -> None:
    """It does not run as root, builds on tagged images, installs by hash only, and copies existing files."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"FROM python:3\.\d+-slim\b", line) for line in lines if line.startswith("FROM "))
    assert [line.split()[1] for line in lines if line.startswith("USER ")] == ["65532:65532"]
    assert 'ENTRYPOINT ["csm-otel"]' in lines
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel)\b[^&\n]*", "\n".join(lines))
    assert len(installs) == 4
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    copied = {name for line in lines if re.match(r"COPY (?!--from)", line) for name in line.split()[1:-1]}
    assert copied == kept
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert f"org.opencontainers.image.version={__version__} " in text
    assert f"org.opencontainers.image.licenses={importlib.metadata.metadata('csm-otel')['License-Expression']} " in text


def test_the_image_checks_its_health() -> None:
    """Its health check exits with 0 while `/healthz` is 200; its spool is a volume of its user."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    (variables,) = re.findall(r"^ENV (CSM_OTEL.*)$", text, re.MULTILINE)
    settings = dict(word.split("=") for word in variables.split())
    assert {f"{PREFIX}SPOOL", f"{PREFIX}HEALTH"} == settings.keys()
    assert f"\nVOLUME {settings['CSM_OTEL_SPOOL']}\n" in text
    assert f"install -d -o 65532 -g 65532 -m 0700 {settings['CSM_OTEL_SPOOL']}\n" in text
    (command,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE)
    program, *words = json.loads(command)
    assert program == "csm-otel"
    check = [sys.executable, "-m", "csm_otel", *words]
    with running_health() as health:
        environ = {**os.environ, "CSM_OTEL_HEALTH": health.url.rpartition(":")[2], "http_proxy": "http://127.0.0.1:9"}
        assert subprocess.run(check, env=environ, check=False, timeout=60).returncode == 0
    done = subprocess.run(check, env=environ, check=False, timeout=60, capture_output=True)
    assert done.returncode == 1


def unit(name: str = "csm-otel.service") -> dict[str, list[str]]:
    """Return the settings of a systemd unit, each with its values."""
    unit_settings: dict[str, list[str]] = {}
    for line in (ROOT / "packaging" / name).read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            unit_settings.setdefault(name, []).append(value)
    return unit_settings


def test_the_unit_starts_the_daemon() -> None:
    """Its command line is valid, its folders are those it creates, and its stop timeout exceeds the drain deadline."""
    unit_settings = unit()
    assert [name for name, values in unit_settings.items() if len(values) != 1] == []
    program, *words = shlex.split(unit_settings["ExecStart"][0])
    assert program.endswith("/csm-otel")
    subcommand, given, *_, faults = read_command_line(words)
    assert (subcommand, faults) == ("serve", [])
    assert str(given["spool"]) == f"%S/{unit_settings['StateDirectory'][0]}"
    assert str(given["control"].parent) == f"%t/{unit_settings['RuntimeDirectory'][0]}"
    assert unit_settings["StateDirectoryMode"] == unit_settings["RuntimeDirectoryMode"] == ["0700"]
    assert unit_settings["Type"] == ["notify"]
    assert int(unit_settings["TimeoutStopSec"][0]) > SETTINGS["drain_seconds"].defaults["serve"]
    assert int(unit_settings["WatchdogSec"][0]) > SETTINGS["drain_seconds"].defaults["serve"]


def test_the_unit_hides_no_senders() -> None:
    """No option hides other processes or the machine's loopback address."""
    unit_settings = unit()
    assert unit_settings["AmbientCapabilities"] == unit_settings["CapabilityBoundingSet"]
    assert {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"} == set(unit_settings["AmbientCapabilities"][0].split())
    assert (["default"], ["all"]) == (unit_settings["ProtectProc"], unit_settings["ProcSubset"])
    assert not {"PrivateUsers", "PrivateNetwork", "PrivatePIDs", "User"} & unit_settings.keys()
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} == set(unit_settings["RestrictAddressFamilies"][0].split())


def test_the_socket_unit_is_what_the_daemon_would_bind() -> None:
    """Its addresses and its buffer are the daemon's defaults, and the service starts it as well."""
    socket_unit = unit("csm-otel.socket")
    port = SETTINGS["port"].default
    assert socket_unit["ListenDatagram"] == [f"127.0.0.1:{port}", f"[::1]:{port}"]
    assert socket_unit["ReceiveBuffer"] == [f"{SETTINGS['receive_buffer_bytes'].default // 2**20}M"]
    assert unit()["Wants"] == ["csm-otel.socket"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.may_skip("not every system has systemd")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Each line is known to systemd."""
    text = (ROOT / "packaging/csm-otel.service").read_text(encoding="utf-8")
    path = tmp_path / "csm-otel.service"
    path.write_text(text.replace(shlex.split(unit()["ExecStart"][0])[0], "/bin/true"), encoding="utf-8")
    paths = [path, shutil.copy(ROOT / "packaging/csm-otel.socket", tmp_path)]
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], check=False, capture_output=True, text=True, timeout=60
    )
    assert [line for line in (done.stdout + done.stderr).splitlines() if path.stem in line] == []
    assert done.returncode == 0


def test_the_image_has_the_requirements_of_the_build_back_end() -> None:
    """The Dockerfile takes what the build needs, with all requirements, from the development lock, and nothing else."""
    found = re.search(r"wanted = /\^\(([^)]+)\)==/", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed, waiting = set(), {Requirement(line).name for line in project["build-system"]["requires"]}
    while waiting:
        name = waiting.pop()
        needed.add(name)
        required = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        wanted = {one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})}
        waiting |= wanted - needed
    assert set(found[1].split("|")) == needed
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert [name for name in needed if not re.search(rf"^{name}==", locked, re.MULTILINE)] == []


_MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(?:home|Users|root|work|workspace)/[\w.-]+")
_REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org|sum\.golang\.org|rubygems\.org/|"
    r"repo\.packagist\.org|crates\.io|(?:^|\s)--?(?:extra-)?index-url[ =]|GOPROXY=https?:"
)


def test_no_registry_address_or_local_path() -> None:
    """Nothing in the repository depends on where it was built or where its packages came from."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files belong to the repository is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    found = []
    for name in filter(None, listed):
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # binary, or deleted and not yet committed
        found += [f"{name}: {match[0]}" for match in _REGISTRY.finditer(text)]
        found += [f"{name}: {match[0]}" for match in _MACHINE_PATH.finditer(text)]
    assert found == []


_PATH = re.compile(r"`((?:csm_otel|tests|benchmarks|soak|docs|examples|packaging|collector-config)/[\w/.-]+)[`:]")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_paths_exist(document: Path) -> None:
    """Each path of this repository in a document is that of a file or a folder."""
    mentioned = _PATH.findall(document.read_text(encoding="utf-8"))
    assert [path for path in mentioned if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_modules_are_named_by_their_paths(document: Path) -> None:
    """A module is always named with its room, so that a moved one is noticed."""
    mentioned = re.findall(r"`([\w/]+\.py)[`:]", document.read_text(encoding="utf-8"))
    modules = {path.name for path in (ROOT / "csm_otel").rglob("*.py")} - {"__init__.py"}
    assert [path for path in mentioned if path in modules] == []


def _texts(tree: ast.Module) -> set[str]:
    """Return the string literals of a module, without docstrings."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    literals = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in statements)
    return {node.value for node in literals if isinstance(node.value, str)}


@pytest.mark.parametrize("section", ["Guarantees", "Losses", "Failure by failure"])
def test_quoted_messages(section: str) -> None:
    """Every message that the document on reliability quotes is in the code, word for word."""
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    quoted = re.findall(r'"([^"]+)"', text.partition("\n## ")[0])
    printed = {
        literal
        for path in (ROOT / "csm_otel").rglob("*.py")
        for literal in _texts(ast.parse(path.read_text(encoding="utf-8")))
    }
    parts = [part.strip(" :") for message in quoted for part in message.split("...")]
    assert parts
    assert [part for part in parts if not any(part in literal for literal in printed)] == []
