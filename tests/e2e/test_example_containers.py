"""The examples for compose, Kubernetes and ECS: what they say to csm-otel is valid, and their task definition is.

Their other schemas are in `interop.test_manifests`.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
import pytest
import yaml  # type: ignore[import-untyped]
from botocore.validate import ParamValidator
from configured import given

from csm_otel import __version__
from csm_otel.commands.listening import check_addresses
from csm_otel.config.configuration import configure
from csm_otel.config.flags import read_command_line
from csm_otel.config.settings import SETTINGS
from csm_otel.config.standard import VARIABLES
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from botocore.model import Shape

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KUBERNETES = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))
TASK = EXAMPLES / "ecs" / "task-definition.json"
KNOWN = {setting.variable for settings in (SETTINGS, VARIABLES) for setting in settings.values()}
OF_CSM = {"AWS_CSM_ENABLED", "AWS_CSM_HOST", "AWS_CSM_PORT", "AWS_CSM_CLIENT_ID"}
BEYOND_LOOPBACK = {"compose/compose.yaml csm-otel", "kubernetes/daemonset.yaml csm-otel"}
DRAIN_SECONDS = SETTINGS["drain_seconds"].defaults["serve"]


class Container(NamedTuple):
    """A container of an example, as far as this concerns csm-otel."""

    image: str
    arguments: list[str]
    variables: dict[str, str]
    probes: list[list[str]]
    stop_seconds: float


def of_compose(service: dict[str, Any]) -> Container:
    """Read a service."""
    variables = {name: str(value) for name, value in service["environment"].items() if value is not None}
    grace = float(service.get("stop_grace_period", "10s").removesuffix("s"))
    return Container(service["image"], service.get("command", []), variables, [], grace)


def of_kubernetes(container: dict[str, Any], pod: dict[str, Any]) -> Container:
    """Read a container of a pod."""
    variables = {one["name"]: one.get("value", "from a field") for one in container["env"]}
    probes = [container[name]["exec"]["command"] for name in container if "exec" in (container[name] or {})]
    return Container(
        container["image"],
        container.get("args", []),
        variables,
        probes,
        pod.get("terminationGracePeriodSeconds", 30),
    )


def of_ecs(container: dict[str, Any]) -> Container:
    """Read a container of a task."""
    variables = {one["name"]: one["value"] for one in container["environment"]}
    probes = [container["healthCheck"]["command"][1:]] if "healthCheck" in container else []
    return Container(
        container["image"].rpartition("/")[2],
        container.get("command", []),
        variables,
        probes,
        container.get("stopTimeout", 30),
    )


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pod's specification in a workload."""
    specification = manifest["spec"].get("jobTemplate", manifest)["spec"]
    pod: dict[str, Any] = specification["template"]["spec"]
    return pod


def containers() -> dict[str, Container]:
    """Return every container of ours and every script of the examples, by file and name."""
    services = yaml.safe_load((EXAMPLES / "compose" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    found = {f"compose/compose.yaml {name}": of_compose(services[name]) for name in ("csm-otel", "script")}
    for path in KUBERNETES:
        pod = pod_of(yaml.safe_load(path.read_text(encoding="utf-8")))
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            found[f"kubernetes/{path.name} {container['name']}"] = of_kubernetes(container, pod)
    for container in json.loads(TASK.read_text(encoding="utf-8"))["containerDefinitions"]:
        found[f"ecs/{TASK.name} {container['name']}"] = of_ecs(container)
    return found


CONTAINERS = containers()
OURS = [pytest.param(name, id=name) for name in CONTAINERS if name.endswith(" csm-otel")]
SCRIPTS = [pytest.param(name, id=name) for name in CONTAINERS if name.endswith(" script")]


def of_the_image() -> dict[str, str]:
    """Return the settings that the image has."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return dict(re.findall(r"(CSM_OTEL_\w+)=(\S+)", text))


def faults_of(container: Container) -> list[str]:
    """Return what csm-otel says against a container's settings, and which of its variables it does not know."""
    line = read_command_line(["serve", *container.arguments[1:]])
    configuration, faults = configure("serve", given({**of_the_image(), **container.variables}, flags=line.flags))
    unknown = [name for name in container.variables if name not in KNOWN]
    try:
        check_addresses(configuration, [])
    except SettingsError as error:
        unknown += str(error).splitlines()
    return [*map(str, line.faults), *map(str, faults), *unknown]


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_valid(name: str) -> None:
    """Each variable exists and has a valid value; only where it is meant to be, others reach it."""
    container = CONTAINERS[name]
    assert faults_of(container) == []
    assert ("CSM_OTEL_HOST" in container.variables) == (name in BEYOND_LOOPBACK)
    assert container.image in ("csm-otel", f"csm-otel:{__version__}")
    assert container.stop_seconds > DRAIN_SECONDS


@pytest.mark.parametrize("name", OURS)
def test_the_probes_are_valid(name: str) -> None:
    """A probe that runs a command runs `csm-otel health` with flags that exist."""
    for program, *words in CONTAINERS[name].probes:
        line = read_command_line(words)
        assert (program, line.subcommand, line.faults) == ("csm-otel", "health", [])


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_told_where_to_send(name: str) -> None:
    """CSM is on, by variables that exist; the host is given where loopback is not shared."""
    variables = CONTAINERS[name].variables
    assert variables["AWS_CSM_ENABLED"] == "true"
    assert {one for one in variables if "CSM" in one} <= OF_CSM
    assert ("AWS_CSM_HOST" in variables) == name.startswith(("compose/", "kubernetes/script.yaml"))


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        pytest.param({"CSM_OTEL_HOTS": "0.0.0.0"}, "CSM_OTEL_HOTS", id="unknown variable"),
        pytest.param({"CSM_OTEL_HEALTH": "0.0.0.0:99999"}, "CSM_OTEL_HEALTH", id="invalid value"),
        pytest.param({"CSM_OTEL_HOST": "0.0.0.0"}, "--allow-remote", id="not allowed"),
        pytest.param({"CSM_OTEL_ALLOW_FROM": "10.244.0.0/99"}, "CSM_OTEL_ALLOW_FROM", id="no network"),
    ],
)
def test_wrong_settings_are_found(variables: dict[str, str], fault: str) -> None:
    """The check of the settings can fail."""
    container = CONTAINERS["kubernetes/sidecar.yaml csm-otel"]
    (found,) = faults_of(container._replace(variables={**container.variables, **variables}))
    assert fault in found


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_pods_are_restricted(path: Path) -> None:
    """Each container complies with the Pod Security Standard "restricted", apart from the DaemonSet's port."""
    pod = pod_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} == pod["securityContext"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert {volume.keys() - {"name"} == {"emptyDir"} for volume in pod.get("volumes", [])} <= {True}


TASK_SHAPE = (
    botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
)


def complaints(task: dict[str, Any]) -> str:
    """Return what botocore says against a task definition, and values that are not among those of its model."""
    report = ParamValidator().validate(task, TASK_SHAPE).generate_report()
    return str(report) or "\n".join(_wrong_words(task, TASK_SHAPE))


def _wrong_words(value: Any, shape: Shape) -> list[str]:
    """Return the texts that are not in their shapes' enumerations, which botocore leaves to the service."""
    match shape.type_name:
        case "structure":
            pairs = [(value[name], shape.members[name]) for name in value]
        case "list":
            pairs = [(one, shape.member) for one in value]
        case "string" if shape.enum and value not in shape.enum:
            return [f"{value} is no {shape.name}"]
        case _:
            pairs = []
    return [wrong for one, of_one in pairs for wrong in _wrong_words(one, of_one)]


def test_the_task_definition_is_valid() -> None:
    """ECS takes it, and its dependencies and volumes exist."""
    task = json.loads(TASK.read_text(encoding="utf-8"))
    assert not complaints(task)
    names = {container["name"] for container in task["containerDefinitions"]}
    volumes = {volume["name"] for volume in task["volumes"]}
    for container in task["containerDefinitions"]:
        assert {one["containerName"] for one in container.get("dependsOn", [])} <= names - {container["name"]}
        assert {one["sourceVolume"] for one in container.get("mountPoints", [])} <= volumes


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"dependsOnn": []}, "dependsOnn", id="unknown key"),
        pytest.param({"stopTimeout": "15"}, "stopTimeout", id="wrong type"),
        pytest.param({"dependsOn": [{"containerName": "x"}]}, '"condition"', id="missing key"),
        pytest.param({"dependsOn": [{"containerName": "x", "condition": "READY"}]}, "READY", id="unknown word"),
    ],
)
def test_a_broken_task_definition_is_refused(change: dict[str, Any], complaint: str) -> None:
    """The check of the task definition can fail."""
    task = copy.deepcopy(json.loads(TASK.read_text(encoding="utf-8")))
    task["containerDefinitions"][1] |= change
    assert complaint in complaints(task)
