"""What package managers leave in, codes of findings out."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor.package_files import codes_of, make

from csm_otel.doctor.packages import sdk_of_dotnet, sdk_of_go_run, sdk_of_node, sdk_of_php, sdk_of_ruby

V2, V3 = "require('aws-sdk')", "import { S3Client } from '@aws-sdk/client-s3'"
COMPOSER = '{{"packages": [{{"name": "{}", "version": "3.376.2"}}]}}'


@pytest.mark.parametrize(
    ("folders", "source", "codes"),
    [
        pytest.param(["aws-sdk/lib/publisher"], "", [], id="v2"),
        pytest.param(["aws-sdk/lib"], "", ["sdk-too-old"], id="old-v2"),
        pytest.param(["@aws-sdk/client-s3"], "", ["sdk-without-csm"], id="v3"),
        pytest.param(["aws-sdk", "@aws-sdk/client-s3"], V2, [], id="both-v2-used"),
        pytest.param(["aws-sdk", "@aws-sdk/client-s3"], V3, ["sdk-without-csm"], id="both-v3-used"),
        pytest.param(["aws-sdk", "@aws-sdk/client-s3"], V2 + V3, [], id="both-used"),
        pytest.param([], 'import S3 from "aws-sdk/clients/s3"', ["sdk-not-found"], id="not-installed"),
        pytest.param([], V3, ["sdk-without-csm"], id="v3-elsewhere"),
        pytest.param(["express"], "", [], id="neither"),
    ],
)
def test_node(folders: list[str], source: str, codes: list[str], tmp_path: Path) -> None:
    """The packages are those of the script's folder or one above it."""
    for folder in folders:
        make(tmp_path / "node_modules" / folder / "package.json")
    script = make(tmp_path / "src/script.mjs", source.encode())

    assert codes_of(sdk_of_node(script, {})) == codes


def test_tools_of_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool, as npm, runs what is in the current folder; NODE_PATH has further folders."""
    make(tmp_path / "node_modules/aws-sdk/package.json")
    npm = make(tmp_path / "bin/npm")
    assert not sdk_of_node(Path("/nowhere/script.js"), {}).name
    assert sdk_of_node(Path("/nowhere/script.js"), {"NODE_PATH": f"{tmp_path}/node_modules"}).name
    monkeypatch.chdir(tmp_path)
    assert sdk_of_node(Path("/nowhere/npm"), {}).name
    assert sdk_of_node(npm, {}).name
    assert sdk_of_node(None, {}).name


@pytest.mark.parametrize(
    ("files", "source", "name", "codes"),
    [
        pytest.param(
            ["usr/lib/ruby/gems/3.1.0"], "aws-sdk-core-3.211.0", "aws-sdk-core 3.211.0 has CSM", [], id="system"
        ),
        pytest.param(
            ["usr/share/rubygems-integration/all"], "aws-sdk-core-3.1.2", "aws-sdk-core 3.1.2 has CSM", [], id="debian"
        ),
        pytest.param(["var/lib/gems/3.1.0"], "aws-sdk-core-3.1.2", "aws-sdk-core 3.1.2 has CSM", [], id="gem"),
        pytest.param(["home/.gem/ruby/3.1.0"], "aws-sdk-core-3.1.2", "aws-sdk-core 3.1.2 has CSM", [], id="user"),
        pytest.param(
            ["app/vendor/bundle/ruby/3.1.0"], "aws-sdk-core-3.1.2", "aws-sdk-core 3.1.2 has CSM", [], id="bundle"
        ),
        pytest.param(["elsewhere"], "aws-sdk-core-3.1.2", "aws-sdk-core 3.1.2 has CSM", [], id="gem-path"),
        pytest.param([], "aws-sdk-core-2.11.632", "aws-sdk-core-2.11.632 has no CSM", ["sdk-too-old"], id="v2"),
        pytest.param([], "aws-sdk-1.67.0", "aws-sdk-1.67.0 has no CSM", ["sdk-too-old"], id="v1"),
        pytest.param([], "", "", ["sdk-not-found"], id="none"),
    ],
)
def test_ruby(files: list[str], source: str, name: str, codes: list[str], tmp_path: Path) -> None:
    """The gems are those of the interpreter, the user, the variables and the script's bundle."""
    ruby = make(tmp_path / "usr/bin/ruby")
    gems = tmp_path / (files[0] if files else "usr/lib/ruby/gems/3.1.0")
    if source:
        make(gems / f"specifications/{source}.gemspec")
    if files:
        make(gems / f"gems/{source}/lib/aws-sdk-core/plugins/client_metrics_plugin.rb")
    script = make(tmp_path / "app/bin/script.rb", b"require 'aws-sdk-s3'\n")
    sdk = sdk_of_ruby(ruby, script, {"HOME": f"{tmp_path}/home", "GEM_PATH": f"{tmp_path}/elsewhere"})

    assert (sdk.name, codes_of(sdk)) == (name, codes)


def test_ruby_without_an_sdk(tmp_path: Path) -> None:
    """A script that needs no SDK has no finding."""
    assert not codes_of(sdk_of_ruby(tmp_path / "usr/bin/ruby", make(tmp_path / "a.rb", b"puts 1"), {}))
    assert not codes_of(sdk_of_ruby(tmp_path / "usr/bin/ruby", None, {}))


@pytest.mark.parametrize(
    ("installed", "folder", "codes"),
    [
        pytest.param(COMPOSER.format("aws/aws-sdk-php"), "aws/aws-sdk-php/src/ClientSideMonitoring", [], id="v3"),
        pytest.param(COMPOSER.format("aws/aws-sdk-php"), "aws/aws-sdk-php/src", ["sdk-too-old"], id="old"),
        pytest.param('[{"name": "aws/aws-sdk-php"}]', "x", ["sdk-too-old"], id="composer-1"),
        pytest.param(COMPOSER.format("async-aws/core"), "x", ["sdk-without-csm"], id="async-aws"),
        pytest.param(COMPOSER.format("monolog/monolog"), "x", [], id="neither"),
        pytest.param("[" * 100_000, "x", [], id="nested"),
        pytest.param('{"packages": 1}', "x", [], id="foreign"),
        pytest.param('{"packages": [1]}', "x", [], id="foreign-entries"),
        pytest.param("", "x", [], id="empty"),
        pytest.param(None, "x", ["sdk-not-found"], id="not-installed"),
    ],
)
def test_php(installed: str | None, folder: str, codes: list[str], tmp_path: Path) -> None:
    """The packages are those that Composer has installed above the script."""
    if installed is not None:
        make(tmp_path / "vendor/composer/installed.json", installed.encode())
    make(tmp_path / "vendor" / folder / "file")
    script = make(tmp_path / "bin/script.php", b"<?php\nuse Aws\\S3\\S3Client;\n")
    sdk = sdk_of_php(script)

    assert codes_of(sdk) == codes
    assert sdk.name == ("aws/aws-sdk-php 3.376.2 has CSM" if "Monitoring" in folder else sdk.name)


def test_php_without_packages(tmp_path: Path) -> None:
    """A script that needs no SDK has no finding."""
    assert not codes_of(sdk_of_php(make(tmp_path / "a.php", b"<?php echo 1;")))
    assert not codes_of(sdk_of_php(None))


@pytest.mark.parametrize(
    ("version", "name", "codes"),
    [
        pytest.param("3.7.400.30", "AWSSDK.Core 3.7 has CSM", [], id="v3"),
        pytest.param("4.0.0", "AWSSDK.Core 4.0 has CSM", [], id="v4"),
        pytest.param("3.1.2", "AWSSDK.Core 3.1 has no CSM", ["sdk-too-old"], id="old"),
        pytest.param("", "", [], id="none"),
    ],
)
@pytest.mark.parametrize("argv", ["dotnet {}/app.dll x", "{}/app", "dotnet run"])
def test_dotnet(
    version: str, name: str, codes: list[str], argv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dependencies are listed beside the program, or in the project that is run."""
    monkeypatch.chdir(tmp_path)
    if argv == "dotnet run":
        line = f'<PackageReference Include="AWSSDK.Core" Version="{version}" />' if version else ""
        make(tmp_path / "app.csproj", line.encode())
    else:
        text = f'{{"libraries": {{"AWSSDK.Core/{version}": {{}}}}}}' if version else "{}"
        make(tmp_path / "app.deps.json", text.encode())
    sdk = sdk_of_dotnet(argv.replace("{}", str(tmp_path)).split())

    assert (sdk.name, codes_of(sdk)) == (name, codes)


@pytest.mark.parametrize(
    ("argv", "required", "codes"),
    [
        pytest.param("run .", "github.com/aws/aws-sdk-go v1.55.6", [], id="v1"),
        pytest.param("run -race cmd/main.go x", "github.com/aws/aws-sdk-go-v2 v1.30.0", ["sdk-without-csm"], id="v2"),
        pytest.param("run ./cmd", "github.com/aws/aws-sdk-go-v2/config v1.30.0", ["sdk-without-csm"], id="package"),
        pytest.param(
            "run .",
            "github.com/aws/aws-sdk-go v1.55.6 // indirect\ngithub.com/aws/aws-sdk-go-v2 v1.30.0",
            ["sdk-without-csm"],
            id="v1-indirect",
        ),
        pytest.param(
            "run .", "github.com/aws/aws-sdk-go-v2 v1.3\n\tgithub.com/aws/aws-sdk-go v1.55.6\n", [], id="both"
        ),
        pytest.param("run .", "example.com/x v1.0.0", [], id="neither"),
        pytest.param("build .", "github.com/aws/aws-sdk-go-v2 v1.30.0", [], id="not-run"),
        pytest.param("", "github.com/aws/aws-sdk-go-v2 v1.30.0", [], id="alone"),
    ],
)
def test_go_run(argv: str, required: str, codes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is that of the program's folder."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "go.mod", f"module x\nrequire (\n\t{required}\n)\n".encode())
    make(tmp_path / "cmd/main.go")

    assert codes_of(sdk_of_go_run(["go", *argv.split()])) == codes
