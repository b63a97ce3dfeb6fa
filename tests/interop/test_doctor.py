"""What doctor says about settings of CSM, against real SDKs: whether each sends anything at all."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from demo import environment_for
from interop.sdks import Sdk, sdks

from csm_otel.doctor.aws_files import read_profiles
from csm_otel.doctor.command import check_command
from csm_otel.doctor.readers import readers_of
from csm_otel.doctor.spellings import BOTO, GO, JAVA, JAVASCRIPT, RUBY, enabled_by_key, is_true_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN_SECONDS = 300.0
NAMES = {"boto3": BOTO, "javascript-v2": JAVASCRIPT, "go-v1": GO, "java-v1": JAVA, "ruby-v3": RUBY}
ON = "csm_enabled = true\ncsm_port = PORT\n"
with_each_sdk = pytest.mark.parametrize("sdk", [pytest.param(sdk, id=sdk.name) for sdk in sdks() if sdk.name in NAMES])


def run(
    sdk: Sdk, environ: Mapping[str, str], folder: Path, config: str = "", credentials: str = ""
) -> tuple[bool, subprocess.CompletedProcess[bytes]]:
    """Make a call that is refused, and return whether the SDK has sent anything to the port given as PORT."""
    if reason := sdk.why_not():
        pytest.skip(reason)
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        port = str(receiver.getsockname()[1])
        for name, text in (("config", config), ("credentials", credentials)):
            (folder / name).write_text(text.replace("PORT", port), encoding="utf-8")
        settings = {name: value.replace("PORT", port) for name, value in environ.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        files = {"AWS_CONFIG_FILE": f"{folder}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials"}
        call = ("http://127.0.0.1:9", "1", "60000", "1", "PutObject/call-1")
        done = subprocess.run(
            [*map(str, sdk.command(sdk.folder)), *call],
            env={**environment_for(9, inherited), **files, "AWS_REGION": "us-east-1", **settings},
            capture_output=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        with contextlib.suppress(BlockingIOError):
            return bool(receiver.recv(65_536)), done
    return False, done


@with_each_sdk
@pytest.mark.parametrize("value", ["true", "TRUE", "FALSE", "1", "t", "yes", "no", "0", ""])
def test_values(sdk: Sdk, value: str, tmp_path: Path) -> None:
    """Each value of AWS_CSM_ENABLED enables CSM for the SDKs that doctor names."""
    sent, done = run(sdk, {"AWS_CSM_ENABLED": value, "AWS_CSM_PORT": "PORT"}, tmp_path)

    assert sent is is_true_for(NAMES[sdk.name], value), done.stderr


@with_each_sdk
@pytest.mark.parametrize(
    ("config", "credentials", "environ"),
    [
        pytest.param(f"[default]\n{ON}", "", {}, id="default"),
        pytest.param("[default]\ncsm_enabled = false\ncsm_port = PORT\n", "", {}, id="false"),
        pytest.param(f"[profile aws_csm]\n{ON}", "", {}, id="aws-csm"),
        pytest.param(f"[profile aws_csm]\n{ON}", "", {"AWS_SDK_LOAD_CONFIG": "1"}, id="load-config"),
        pytest.param("", f"[aws_csm]\n{ON}", {}, id="credentials-aws-csm"),
        pytest.param("", f"[default]\n{ON}", {}, id="credentials"),
        pytest.param(f"[profile a]\n{ON}", "", {"AWS_PROFILE": "a"}, id="profile"),
        pytest.param(
            f"[profile a]\n{ON}[profile b]\n", "", {"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"}, id="two-profiles"
        ),
    ],
)
def test_files(sdk: Sdk, config: str, credentials: str, environ: dict[str, str], tmp_path: Path) -> None:
    """Each section and file enables CSM for the SDKs that doctor names."""
    sent, done = run(sdk, environ, tmp_path, config, credentials)
    files = {"AWS_CONFIG_FILE": f"{tmp_path}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials"}
    (reader,) = (one for one in readers_of(environ) if one.sdk == NAMES[sdk.name])
    keys = read_profiles({**files, **environ}, tmp_path).keys_of(reader)

    assert sent is ("csm_enabled" in keys and bool(enabled_by_key(keys["csm_enabled"], [reader.sdk])[0])), done.stderr


@with_each_sdk
@pytest.mark.parametrize(
    ("config", "environ"),
    [
        pytest.param("", {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": "PORT"}, id="variables"),
        pytest.param(ON, {}, id="file"),
        pytest.param("csm_port = PORT\n", {"AWS_CSM_ENABLED": "true"}, id="port-in-file"),
        pytest.param("csm_enabled = true\n", {"AWS_CSM_PORT": "PORT"}, id="port-in-variable"),
    ],
)
def test_ports(sdk: Sdk, config: str, environ: dict[str, str], tmp_path: Path) -> None:
    """The port comes from where doctor says that the SDK takes it, if enabled there."""
    config = f"[default]\n{config}[profile aws_csm]\n{config}"
    environ = {"AWS_SDK_LOAD_CONFIG": "1", **environ}
    sent, done = run(sdk, environ, tmp_path, config)
    files = {"AWS_CONFIG_FILE": f"{tmp_path}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials"}
    (reader,) = (one for one in readers_of(environ) if one.sdk == NAMES[sdk.name])
    profiles = read_profiles({**files, **environ}, tmp_path)

    assert sent is profiles.finds_port(reader, environ), done.stderr


# What the texts of doctor say: the SDKs that fail, and those that send nothing to the port meant.
FAILURES = {
    "port-word": ({"AWS_CSM_PORT": "abc"}, {BOTO, GO}, {JAVASCRIPT, JAVA, RUBY}),
    "port-empty": ({"AWS_CSM_PORT": ""}, {BOTO}, {JAVASCRIPT, GO, JAVA, RUBY}),
    "port-too-large": ({"AWS_CSM_PORT": "99999"}, {JAVASCRIPT, GO, JAVA}, {BOTO, RUBY}),
    "port-blanks": ({"AWS_CSM_PORT": " PORT"}, set[str](), {JAVA}),
    "host-ipv6": ({"AWS_CSM_PORT": "PORT", "AWS_CSM_HOST": "::1"}, {RUBY}, {BOTO, JAVASCRIPT, GO, JAVA}),
    "host-unknown": ({"AWS_CSM_PORT": "PORT", "AWS_CSM_HOST": "x.test"}, {RUBY, GO, JAVA}, {BOTO, JAVASCRIPT}),
    "client-id": ({"AWS_CSM_PORT": "PORT", "AWS_CSM_CLIENT_ID": "x" * 256}, {BOTO}, set[str]()),
    "long-client-id": ({"AWS_CSM_PORT": "PORT", "AWS_CSM_CLIENT_ID": "x" * 255}, set[str](), set[str]()),
}


@with_each_sdk
@pytest.mark.parametrize(("environ", "fail", "silent"), [pytest.param(*row, id=name) for name, row in FAILURES.items()])
def test_failures(sdk: Sdk, environ: dict[str, str], fail: set[str], silent: set[str], tmp_path: Path) -> None:
    """Values that doctor warns of break or silence the SDKs that it names; with an IPv6 host, nobody listens here."""
    sent, done = run(sdk, {"AWS_CSM_ENABLED": "true", **environ}, tmp_path)
    name = NAMES[sdk.name]

    assert (done.returncode != 0) is (name in fail), done.stderr
    assert sent is (name not in fail | silent)


@with_each_sdk
def test_the_sdk_is_found(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is found, and has CSM."""
    if reason := sdk.why_not():
        pytest.skip(reason)
    words = [str(word) for word in sdk.command(sdk.folder)]
    environ = dict(os.environ)
    if words[0] == "env":
        name, _, value = words[1].partition("=")
        monkeypatch.setitem(environ, name, value)
    checked = check_command(words, environ)

    assert checked.findings == ()
    assert " has CSM; " in checked.state
