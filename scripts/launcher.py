#!/usr/bin/env python3
"""The installed program ``csm-otel``: keeps Python variables of the environment away from this interpreter.

They are for the command of ``exec``. PYTHONPATH may hold modules that replace those of the standard library or of a
dependency, or a ``sitecustomize`` that instruments whatever it is loaded into. Where one of them is set, this process
replaces itself with an isolated interpreter (``python -I``), which ignores them and passes them on unchanged.

Installers generate scripts that import from the standard library first, so this one is installed as it is. Until the
interpreter is isolated only built-in modules are imported, which no file can replace; ``__future__`` is not one.
"""

import posix
import sys

# Not worth a second start: without effect on this program, or version numbers in the official images.
_HARMLESS = {
    b"PYTHONDONTWRITEBYTECODE",
    b"PYTHONHASHSEED",
    b"PYTHONNOUSERSITE",
    b"PYTHONSAFEPATH",
    b"PYTHONSTARTUP",
    b"PYTHONUNBUFFERED",
    b"PYTHON_GET_PIP_SHA256",
    b"PYTHON_GET_PIP_URL",
    b"PYTHON_PIP_VERSION",
    b"PYTHON_SETUPTOOLS_VERSION",
    b"PYTHON_SHA256",
    b"PYTHON_VERSION",
}


def _run() -> int:
    """Run ``csm-otel`` in an interpreter that no variable has changed, and return its exit code."""
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of this script, where other programs are
    environ = _initial_environment()
    is_changed = any(map(_is_for_python, environ)) or "usercustomize" in sys.modules  # which HOME leads to
    if is_changed and not sys.flags.ignore_environment:
        _restart(environ)
    if sys.flags.isolated:
        _find_package()
    from csm_otel.__main__ import main  # ruff: ignore[import-outside-top-level] - nothing before is safe

    return main()


def _is_for_python(name: bytes) -> bool:
    return name.startswith(b"PYTHON") and name not in _HARMLESS


def _restart(environ: dict[bytes, bytes]) -> None:
    """Become an isolated interpreter; return if that fails."""
    executable = sys.executable or ""
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    try:
        posix.execve(executable, [executable, *flags, __file__, *sys.argv[1:]], environ)
    except OSError:
        return


def _initial_environment() -> dict[bytes, bytes]:
    """Return the environment that this process was started with, which a ``sitecustomize`` may have changed.

    So does Python in the C locale, with LC_CTYPE (PEP 538). Without /proc it is as it is now.
    """
    try:
        descriptor = posix.open("/proc/self/environ", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return posix.environ
    text = b""
    while piece := posix.read(descriptor, 65_536):
        text += piece
    posix.close(descriptor)
    pairs = [pair.partition(b"=") for pair in text.split(b"\0")]
    return {name: value for name, equals, value in reversed(pairs) if name and equals}  # as getenv(3), the first wins


def _find_package() -> None:
    """Search the package, if it is not installed for all, where a plain interpreter does, but after everything else."""
    from importlib.util import find_spec  # ruff: ignore[import-outside-top-level]

    if find_spec("csm_otel") is None:
        import os  # ruff: ignore[import-outside-top-level]
        import site  # ruff: ignore[import-outside-top-level]

        sys.path += filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        site.addsitedir(site.getusersitepackages())


if __name__ == "__main__":
    sys.exit(_run())
