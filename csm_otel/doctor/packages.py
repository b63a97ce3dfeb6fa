"""The AWS SDK of a script, by what package managers leave: of npm, RubyGems, Composer, NuGet and Go modules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.doctor.sdk import UNKNOWN, not_found, too_old, with_csm, without_csm
from csm_otel.doctor.texts import folders_above, is_folder, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from csm_otel.doctor.sdk import Sdk

_LOCK_BYTES = 8 * 1024**2
_OF_NODE = re.compile(r".*\.[cm]?[jt]s")
_NODE_V2 = re.compile(r"[\"'`]aws-sdk(?:/[\w/.-]+)?[\"'`]")
_NODE_V3 = re.compile(r"[\"'`]@aws-sdk/")
_JAVASCRIPT_V2, _JAVASCRIPT_V3 = "the AWS SDK for JavaScript v2", "the AWS SDK for JavaScript v3"
_NODE_INSTEAD = "@opentelemetry/instrumentation-aws-sdk"
_RUBY_SDK = re.compile(r"\brequire\s*\(?\s*[\"']aws-sdk")
_GEM_FOLDERS = ("lib*/ruby/gems/*", "lib/*/ruby/gems/*", "share/rubygems-integration/*", "local/lib/ruby/gems/*")
_USERS_GEM_FOLDERS = (".gem/ruby/*", ".local/share/gem/ruby/*")
_CORE_OF_RUBY = "aws-sdk-core"
_PHP_SDK = re.compile(r"\bAws\\+(?!Async)\w")
_NUGET = re.compile(r"AWSSDK\.Core(?:/|\W+Version=\W)(\d+)\.(\d+)[\w.-]*")
_FIRST_DOTNET = (3, 3)
_GO_V1, _GO_V2 = re.compile(r"github\.com/aws/aws-sdk-go (v\S+)"), "github.com/aws/aws-sdk-go-v2"
GO_INSTEAD = "the package otelaws of opentelemetry-go-contrib"


def sdk_of_node(script: Path | None, environ: Mapping[str, str]) -> Sdk:
    """Return the SDK in the folders where Node.js looks, of which the script imports one."""
    is_script = script is not None and _OF_NODE.fullmatch(script.name)
    # What has no suffix is a tool, as npm and tsx, which runs what is in the current folder
    text = text_of(script) if script is not None and is_script else ""
    above = folders_above(script if script is not None and is_script else Path("script"))
    folders = [folder / "node_modules" for folder in above]
    folders += [Path(folder) for folder in environ.get("NODE_PATH", "").split(":") if folder]
    v2 = next((folder / "aws-sdk" for folder in folders if is_folder(folder / "aws-sdk")), None)
    imports_v2, imports_v3 = _NODE_V2.search(text), _NODE_V3.search(text)
    if imports_v3 and not imports_v2:
        return without_csm(_JAVASCRIPT_V3, _NODE_INSTEAD)
    if v2 is None:
        if any(is_folder(folder) and next(folder.glob("@aws-sdk/client-*"), None) for folder in folders):
            return without_csm(_JAVASCRIPT_V3, _NODE_INSTEAD)
        return (
            not_found(f"no node_modules above {script} has aws-sdk", "npm install aws-sdk") if imports_v2 else UNKNOWN
        )
    if is_folder(v2 / "lib") and not is_folder(v2 / "lib/publisher"):
        return too_old(_JAVASCRIPT_V2, "npm install aws-sdk@2")
    return with_csm(_JAVASCRIPT_V2)


def sdk_of_ruby(ruby: Path, script: Path | None, environ: Mapping[str, str]) -> Sdk:
    """Return the SDK among the gems of an interpreter, of the user, and of the script's bundle."""
    text = text_of(script) if script is not None else ""
    folders = list(_gem_folders(ruby, script, environ))
    found = [spec for folder in folders for spec in folder.glob(f"specifications/{_CORE_OF_RUBY}-*.gemspec")]
    found += [spec for folder in folders for spec in folder.glob("specifications/aws-sdk-[12].*.gemspec")]
    if not found:
        what = f"the gems of {ruby} do not include {_CORE_OF_RUBY}"
        return not_found(what, "bundle install, or gem install aws-sdk-core") if _RUBY_SDK.search(text) else UNKNOWN
    gems = [spec.parent.parent / "gems" / spec.stem for spec in found]
    have = [gem for gem in gems if (gem / "lib/aws-sdk-core/plugins/client_metrics_plugin.rb").is_file()]
    if have:
        return with_csm(have[-1].name.replace(f"{_CORE_OF_RUBY}-", f"{_CORE_OF_RUBY} "))
    return too_old(gems[-1].name, "bundle update, or gem install aws-sdk-core")


def sdk_of_php(script: Path | None) -> Sdk:
    """Return the SDK that Composer has installed for a script."""
    above = folders_above(script if script is not None else Path("script"))
    vendor = next((folder / "vendor" for folder in above if is_folder(folder / "vendor/composer")), None)
    if vendor is None:
        uses = script is not None and _PHP_SDK.search(text_of(script))
        return not_found(f"no folder vendor above {script}", "composer install") if uses else UNKNOWN
    versions = _of_composer(text_of(vendor / "composer/installed.json", _LOCK_BYTES))
    name = f"aws/aws-sdk-php {versions.get('aws/aws-sdk-php', '')}".strip()
    if is_folder(vendor / "aws/aws-sdk-php/src/ClientSideMonitoring"):
        return with_csm(name)
    if "aws/aws-sdk-php" in versions:
        return too_old(name, "composer update aws/aws-sdk-php")
    if "async-aws/core" in versions:
        return without_csm("AsyncAws", "open-telemetry/opentelemetry-auto-symfony, which traces its HTTP client,")
    return UNKNOWN


def sdk_of_dotnet(argv: Sequence[str]) -> Sdk:
    """Return the SDK of a program of .NET, by the dependencies listed beside it or in its project."""
    program = next((Path(word) for word in argv if word.endswith(".dll")), Path(argv[0]))
    listed = [program.with_suffix(".deps.json"), program.with_name(f"{program.name}.deps.json")]
    projects = Path.cwd().glob("*.csproj") if "run" in argv[1:] else ()
    for path in (*listed, *projects):
        if found := _NUGET.search(text_of(path, _LOCK_BYTES)):
            name = f"AWSSDK.Core {found[1]}.{found[2]}"
            is_old = (int(found[1]), int(found[2])) < _FIRST_DOTNET
            return too_old(name, "dotnet add package AWSSDK.Core") if is_old else with_csm(name)
    return UNKNOWN


def sdk_of_go_run(argv: Sequence[str]) -> Sdk:
    """Return the SDK that the module of ``go run`` requires."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    if words[:1] not in (["run"], ["test"]):
        return UNKNOWN
    place = Path(words[1]) if len(words) > 1 else Path()
    inside = place.parent / "main.go" if place.suffix == ".go" else place / "main.go"
    text = next(filter(None, (text_of(folder / "go.mod") for folder in folders_above(inside))), "")
    v1 = _GO_V1.search(text)
    if v1 and not (_GO_V2 in text and "// indirect" in text[v1.start() : text.find("\n", v1.start())]):
        return with_csm(f"aws-sdk-go {v1[1]}")
    return without_csm("the AWS SDK for Go v2", GO_INSTEAD) if _GO_V2 in text else UNKNOWN


def _gem_folders(ruby: Path, script: Path | None, environ: Mapping[str, str]) -> Iterable[Path]:
    """Yield folders that have ``specifications`` and ``gems``."""
    given = ":".join((environ.get("GEM_HOME", ""), environ.get("GEM_PATH", "")))
    yield from (Path(folder) for folder in given.split(":") if folder)
    for base in dict.fromkeys((ruby.parent.parent, ruby.resolve().parent.parent)):
        for pattern in _GEM_FOLDERS:
            yield from sorted(base.glob(pattern))
        yield from sorted((base.parent / "var/lib/gems").glob("*"))  # Debian's
    if home := environ.get("HOME"):
        for pattern in _USERS_GEM_FOLDERS:
            yield from sorted(Path(home).glob(pattern))
    for folder in folders_above(script if script is not None else Path("script")):
        yield from sorted(folder.glob("vendor/bundle/ruby/*"))


def _of_composer(text: str) -> dict[str, str]:
    """Return the versions of installed packages, by name; none of a file that is not Composer's."""
    try:
        document = json.loads(text)
        packages = document["packages"] if isinstance(document, dict) else document
        return {str(package["name"]): str(package.get("version", "")) for package in packages}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
