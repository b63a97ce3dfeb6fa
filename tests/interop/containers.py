"""Images and containers of one session: buildah builds, podman runs them by runc, in a storage of their own.

Everything is below one folder; images are also read from the installed base.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop.install_image import ROOT, base_image, storage
from interop.installable import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Mapping
    from pathlib import Path

BUILD_SECONDS = 600.0
COMMAND_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Containers:
    """What runs containers, and where their images are."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def in_folder(cls, folder: Path) -> Containers:
        """Return containers whose images, volumes and networks are in an empty folder."""
        configuration = folder / "containers.conf"
        # Limits and control groups as where tests run in a sandbox: no systemd, and no right to raise a limit.
        configuration.write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            f'[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
            f'tmp_dir = "{folder}/libpod"\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{folder}/networks"\n',
            encoding="utf-8",
        )
        environment = storage(folder, also=[base_image().folder])
        return cls(folder, {**environment, "CONTAINERS_CONF": str(configuration)})

    def build(self, tag: str, *flags: str) -> str:
        """Build the checkout's Dockerfile and return what was printed."""
        offline = ("--pull-never", "--isolation", "chroot", "--network", "host")
        return self._do("buildah", "build", *offline, "--format", "docker", "--tag", tag, *flags, ROOT)

    def podman(self, *arguments: str | Path) -> str:
        """Run podman, which must succeed, and return its stdout."""
        return self._do("podman", *arguments)

    def try_podman(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run podman and return its result."""
        return run(("podman", *arguments), seconds=COMMAND_SECONDS, environment=self.environment)

    def inspect(self, what: str) -> Any:
        """Return what is known of an image or container."""
        return json.loads(self.podman("inspect", what))[0]

    @contextlib.contextmanager
    def container(
        self, image: str, *command: str, flags: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
    ) -> Generator[Container]:
        """Run a container in the background until the block ends, as strictly confined as it may be.

        Its health check is run by hand: no systemd runs it here.
        """
        confined = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges")
        given = [f"--env={name}={value}" for name, value in (variables or {}).items()]
        name = self.podman("run", "--detach", "--pull", "never", *confined, *flags, *given, image, *command).strip()
        try:
            yield Container(self, name)
        finally:
            self.podman("rm", "--force", "--time", "0", name)

    def _do(self, *command: str | Path) -> str:
        done = run(command, seconds=BUILD_SECONDS, environment=self.environment)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


@dataclass(frozen=True, slots=True)
class Container:
    """One container, running or ended."""

    containers: Containers
    name: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return self.containers.try_podman("exec", self.name, *command)

    def inside_its_network(self, *command: str | Path, environment: Mapping[str, str]) -> None:
        """Run a command of this machine, which must succeed, with the container's network, as others of its pod do."""
        pid = self.state()["Pid"]
        done = run(
            ("nsenter", f"--net=/proc/{pid}/ns/net", *command),
            seconds=COMMAND_SECONDS,
            environment=dict(environment),
        )
        assert done.returncode == 0, done.stderr

    def stop(self, *, seconds: int) -> int:
        """Send it SIGTERM, SIGKILL after so long, and return its exit code."""
        self.containers.podman("stop", "--time", str(seconds), self.name)
        return self.exit_code()

    def kill(self) -> None:
        """Send it SIGKILL and wait for its end."""
        self.containers.podman("kill", "--signal", "KILL", self.name)
        self.containers.podman("wait", self.name)

    def exit_code(self) -> int:
        """Wait for its end and return its exit code."""
        return int(self.containers.podman("wait", self.name))

    def log(self) -> str:
        """Return what it has printed."""
        done = self.containers.try_podman("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """Return its state."""
        state: dict[str, Any] = self.containers.inspect(self.name)["State"]
        return state
