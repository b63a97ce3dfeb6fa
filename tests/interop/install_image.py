"""Install what builds and runs the image: Debian's buildah and podman, and a base image in the cache folder.

Run as ``python -m interop.install_image``. No registry of images is within reach, so the base is made of Debian's own
Python under the name that the Dockerfile asks for: Debian 13 has Python 3.13, and pip is where python:3.13-slim has it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interop.install_senders import install_all
from interop.installable import Installable, InstallError, missing_programs, run, step

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
SUITE = "trixie"
PROGRAMS = ("buildah", "debootstrap", "podman", "runc", "iptables")
# netavark and iptables connect containers to a network of their own; aardvark-dns resolves their names.
PACKAGES = (*PROGRAMS, "netavark", "aardvark-dns", "debian-archive-keyring")
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_image() -> Installable:
    """Return the base image, in a storage folder of its own that others can read from."""
    return Installable(
        name="base",
        version=f"{base_name()} {SUITE}",
        sources=(),
        below=Path(__file__).parent,
        shelf="image",
        installed_by="make interop",
        missing=lambda: _missing() or missing_programs(*PROGRAMS),
        install=_install,
    )


def base_name() -> str:
    """Return the one name of a base image in the Dockerfile."""
    names = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(set(names)) == 1, names
    return str(names[0])


def storage(folder: Path, *, also: Iterable[Path] = ()) -> dict[str, str]:
    """Write the configuration of a storage of images below a folder; return the environment that selects it.

    Images are also read from other such folders.
    """
    shared = ", ".join(f'"{one}/images"' for one in also)
    configuration = folder / "storage.conf"
    configuration.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        f"[storage.options]\nadditionalimagestores = [{shared}]\n",
        encoding="utf-8",
    )
    return {"CONTAINERS_STORAGE_CONF": str(configuration)}


def _missing() -> str | None:
    if missing_programs(*PROGRAMS) is None or (shutil.which("apt-get") and os.geteuid() == 0):
        return None
    return f"Debian's {', '.join(PACKAGES)} (apt-get as root installs them)"


def _install(folder: Path) -> None:
    root = folder / "root"
    packages = "--include=python3,python3-venv,ca-certificates"
    step("debootstrap", "--variant=minbase", packages, SUITE, root, _mirror())
    step("chroot", root, "/usr/bin/python3", "-m", "venv", "/usr/local")
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "etc/apt/sources.list").unlink()
    variables = storage(folder)

    def buildah(*words: str | Path) -> None:
        step("buildah", *words, cwd=None, **variables)

    buildah("from", "--name", "base", "scratch")
    buildah("copy", "--quiet", "base", root, "/")
    buildah("config", "--env", f"PATH={_PATH}", "--cmd", "python3", "base")
    buildah("commit", "--quiet", "--rm", "base", f"docker.io/library/{base_name()}")
    shutil.rmtree(root)


def _mirror() -> str:
    """Return the address from which apt has Debian on this machine.

    Raises:
        InstallError: apt has none.
    """
    found = run(
        ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"), seconds=60
    )
    if found.returncode or not found.stdout:
        raise InstallError(f"apt has no source with the label Debian: {found.stderr.strip()}")
    return found.stdout.splitlines()[0]


def main() -> int:
    """Install both; the programs also where the cache folder is from another machine."""
    try:
        if missing_programs(*PROGRAMS) and _missing() is None:
            step("apt-get", "update", "-qq")
            step("apt-get", "install", "-qq", "--no-install-recommends", *PACKAGES, DEBIAN_FRONTEND="noninteractive")
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return install_all((base_image(),))


if __name__ == "__main__":
    sys.exit(main())
