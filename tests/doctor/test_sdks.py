"""Programs in, the SDK of each; none of them is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor.package_files import codes_of, make

from csm_otel.doctor.sdks import sdk_of


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        pytest.param("bin/python3.11 -u a.py", "botocore of an unknown version has CSM", id="python"),
        pytest.param("bin/python3 -c pass", "botocore of an unknown version has CSM", id="python-code"),
        pytest.param("bin/node --require hook.js a.js", "the AWS SDK for JavaScript v2 has CSM", id="node"),
        pytest.param("bin/ruby3.1 a.rb", "aws-sdk-core 3.1.0 has CSM", id="ruby"),
        pytest.param("bin/php8.2 -d x=1 a.php", "aws/aws-sdk-php has CSM", id="php"),
        pytest.param("bin/java -cp classes Main", "the AWS SDK for Java v1 has CSM", id="java"),
        pytest.param("bin/dotnet app.dll", "AWSSDK.Core 3.7 has CSM", id="dotnet"),
        pytest.param("app", "AWSSDK.Core 3.7 has CSM", id="host-of-dotnet"),
        pytest.param("bin/go run .", "aws-sdk-go v1.55.6 has CSM", id="go-run"),
        pytest.param("cli/aws s3 ls", "version 2 of the AWS CLI has CSM", id="aws-cli"),
        pytest.param("bin/aws s3 ls", "", id="another-aws"),
        pytest.param("tool", "the AWS SDK for Go v1 has CSM", id="binary"),
    ],
)
def test_each_kind(argv: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the program says where its SDK is looked for."""
    monkeypatch.chdir(tmp_path)
    for path, content in {
        "lib/python3.11/site-packages/botocore/monitoring.py": "",
        "a.py": "import boto3\n",
        "node_modules/aws-sdk/package.json": "",
        "hook.js": "require('@aws-sdk/client-s3')",
        "a.js": "require('aws-sdk')",
        "lib/ruby/gems/3.1.0/specifications/aws-sdk-core-3.1.0.gemspec": "",
        "lib/ruby/gems/3.1.0/gems/aws-sdk-core-3.1.0/lib/aws-sdk-core/plugins/client_metrics_plugin.rb": "",
        "vendor/composer/installed.json": "",
        "vendor/aws/aws-sdk-php/src/ClientSideMonitoring/A.php": "",
        "classes/com/amazonaws/A.class": "",
        "app.deps.json": '"AWSSDK.Core/3.7.1"',
        "app": "",
        "go.mod": "require github.com/aws/aws-sdk-go v1.55.6\n",
        "cli/awscli/data/cli.json": "",
        "tool": "github.com/aws/aws-sdk-go/aws/csm",
    }.items():
        make(tmp_path / path, content.encode())
    words = argv.split()

    assert sdk_of(tmp_path / words[0], words, {}).name == name


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param("import boto3, os\nos.environ.pop('AWS_CSM_ENABLED')\n", ["environment-lost"], id="changes"),
        pytest.param("import boto3\n", [], id="sound"),
        pytest.param("import boto\n", ["sdk-without-csm"], id="boto-2"),
    ],
)
@pytest.mark.parametrize("is_code", [True, False], ids=["code", "script"])
def test_python_text(source: str, codes: list[str], tmp_path: Path, *, is_code: bool) -> None:
    """The text of a script is read, and so is the code of -c."""
    make(tmp_path / "lib/python3.11/site-packages/botocore/monitoring.py")
    words = ["-c", source] if is_code else [str(make(tmp_path / "a.py", source.encode()))]

    assert codes_of(sdk_of(tmp_path / "bin/python3", ["python3", *words], {})) == codes


@pytest.mark.parametrize(
    ("program", "name", "text"),
    [
        pytest.param("node", "a.js", "delete process.env.AWS_CSM_ENABLED", id="node"),
        pytest.param("ruby", "a.rb", "ENV.delete('AWS_CSM_ENABLED')", id="ruby"),
        pytest.param("php", "a.php", "['csm' => false]", id="php"),
    ],
)
def test_a_script_that_switches_it_off(program: str, name: str, text: str, tmp_path: Path) -> None:
    """The script's own text is read."""
    script = make(tmp_path / name, text.encode())

    assert codes_of(sdk_of(Path("/nowhere/bin", program), [program, str(script)], {})) == ["csm-off-in-script"]


def test_unreadable() -> None:
    """Nothing is known of what cannot be read, and code is no path."""
    code = "x" * 5000 + "/" + "x"
    assert codes_of(sdk_of(Path("/nowhere/python3"), ["python3", f"{code}.py"], {})) == ["sdk-not-found"]
    assert not codes_of(sdk_of(Path("/nowhere/node"), ["node", f"{code}.js"], {}))
    assert not codes_of(sdk_of(Path("/nowhere/tool"), ["tool"], {}))
    assert sdk_of(Path("/" + "x" * 5000 + "/bin/python3"), ["python3"], {}) == ("", ())
