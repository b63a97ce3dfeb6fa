"""Names of commands: those that a user would give them, and never an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.process.command_name import name_of_command, target_of

# In the table "hunter2" stands for an argument.


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("aws s3 ls", "aws", id="program"),
        pytest.param("/usr/bin/aws s3 ls", "aws", id="program-with-path"),
        pytest.param("./backup.sh --all", "backup.sh", id="executable-script"),
        pytest.param("python -u x.py", "x.py", id="python"),
        pytest.param("/usr/bin/python3.11 /opt/jobs/backup.py --all", "backup.py", id="python-with-paths"),
        pytest.param("python3.11 -m pkg.mod run", "pkg.mod", id="python-module"),
        pytest.param("python -mpkg.mod run", "pkg.mod", id="python-module-attached"),
        pytest.param("python -um pkg.mod run", "pkg.mod", id="python-module-in-a-cluster"),
        pytest.param("python -W ignore -X dev x.py", "x.py", id="python-options-with-values"),
        pytest.param("python -Wignore -Xdev -OO x.py", "x.py", id="python-values-attached"),
        pytest.param("python -- x.py", "x.py", id="python-end-of-options"),
        pytest.param("python.exe x.py", "x.py", id="python-on-windows"),
        pytest.param("pypy3 x.py", "x.py", id="pypy"),
        pytest.param("python -c hunter2", "python", id="python-code"),
        pytest.param("python -chunter2 x.py", "python", id="python-code-attached"),
        pytest.param("python3 -uc hunter2 x.py", "python3", id="python-code-in-a-cluster"),
        pytest.param("python - hunter2", "python", id="python-standard-input"),
        pytest.param("python", "python", id="python-alone"),
        pytest.param("python -W", "python", id="python-value-missing"),
        pytest.param("python -m", "python", id="python-module-missing"),
        pytest.param("java -jar a.jar hunter2", "a.jar", id="java-jar"),
        pytest.param("java -cp x com.acme.Main hunter2", "Main", id="java-class"),
        pytest.param("java -Xmx1g -Da=hunter2 -javaagent:x.jar com.acme.Main", "Main", id="java-options"),
        pytest.param("java --module-path mods -m acme/com.acme.Main", "Main", id="java-module"),
        pytest.param("java --module=acme/com.acme.Main hunter2", "Main", id="java-module-attached"),
        pytest.param("java src/Main.java hunter2", "Main.java", id="java-source"),
        pytest.param("java @hunter2", "java", id="java-file-of-options"),
        pytest.param("ruby -r y z.rb", "z.rb", id="ruby"),
        pytest.param("ruby -ryaml -Ilib -W0 z.rb hunter2", "z.rb", id="ruby-values-attached"),
        pytest.param("ruby3.1 -E UTF-8 z.rb", "z.rb", id="ruby-encoding"),
        pytest.param("ruby -rset -e hunter2", "ruby", id="ruby-code"),
        pytest.param("ruby -ne hunter2 file", "ruby", id="ruby-code-in-a-cluster"),
        pytest.param("perl -w -I lib x.pl", "x.pl", id="perl"),
        pytest.param("perl -i.bkm x.pl hunter2", "x.pl", id="perl-value-only-attached"),
        pytest.param("perl -lne hunter2 file", "perl", id="perl-code"),
        pytest.param("php -d x=1 s.php", "s.php", id="php"),
        pytest.param("php -f s.php -- hunter2", "s.php", id="php-file"),
        pytest.param("php --file=s.php hunter2", "s.php", id="php-file-attached"),
        pytest.param("php8.2 -r hunter2", "php8.2", id="php-code"),
        pytest.param("php -- hunter2", "php", id="php-standard-input"),
        pytest.param("node --require a b.js", "b.js", id="node"),
        pytest.param("node --require=a b.js", "b.js", id="node-value-attached"),
        pytest.param("nodejs --inspect b.js hunter2", "b.js", id="nodejs"),
        pytest.param("node -e hunter2 b.js", "node", id="node-code"),
        pytest.param("node --eval=hunter2 b.js", "node", id="node-code-attached"),
        pytest.param("node -pe hunter2", "node", id="node-code-in-a-cluster"),
        pytest.param("bash script.sh hunter2", "script.sh", id="bash"),
        pytest.param("bash -eo pipefail script.sh", "script.sh", id="bash-value-of-a-cluster"),
        pytest.param("bash +x script.sh", "script.sh", id="bash-plus"),
        pytest.param("bash -c hunter2", "bash", id="bash-code"),
        pytest.param("bash -lc hunter2", "bash", id="bash-login-code"),
        pytest.param("sh -exc hunter2 x", "sh", id="sh-code-in-a-cluster"),
        pytest.param("bash -s hunter2", "bash", id="bash-standard-input"),
        pytest.param("bash /dev/fd/63", "bash", id="bash-descriptor"),
        pytest.param("env A=1 nice python x.py", "x.py", id="wrappers"),
        pytest.param("/usr/bin/env python x.py", "x.py", id="wrapper-with-path"),
        pytest.param("env -u hunter2 -i A=hunter2 aws s3 ls", "aws", id="env-options"),
        pytest.param("env -S hunter2", "env", id="env-split-string"),
        pytest.param("env A=hunter2", "env", id="env-alone"),
        pytest.param("nice -n 10 python x.py", "x.py", id="nice-value"),
        pytest.param("nice -10 python x.py", "x.py", id="nice-old-style"),
        pytest.param("nice --adjustment=10 aws", "aws", id="nice-value-attached"),
        pytest.param("stdbuf -oL -e 0 aws s3 ls", "aws", id="stdbuf"),
        pytest.param("ionice -c 2 -n7 aws s3 ls", "aws", id="ionice"),
        pytest.param("ionice -p 123", "ionice", id="ionice-of-a-process"),
        pytest.param("chrt -f 50 aws s3 ls", "aws", id="chrt-priority"),
        pytest.param("timeout -k 5 60 python x.py", "x.py", id="timeout"),
        pytest.param("time -p nohup setsid aws s3 ls", "aws", id="other-wrappers"),
        pytest.param("nohup", "nohup", id="wrapper-alone"),
        pytest.param("python3-config --libs", "python3-config", id="not-an-interpreter"),
        pytest.param("", "", id="empty"),
    ],
)
def test_name(command: str, expected: str) -> None:
    """A command is named by its script, module or class, else by its program, and never by an argument."""
    assert "hunter2" not in expected
    assert expected == name_of_command(command.split())


@pytest.mark.parametrize(
    "front",
    [
        pytest.param("aws", id="program"),
        pytest.param("python3 -u x.py", id="script"),
        pytest.param("python3 -m pkg", id="module"),
        pytest.param("java -jar a.jar", id="jar"),
        pytest.param("nice -n 5 env A=1 bash x.sh", id="wrapped"),
        pytest.param("bash -lc code", id="code"),
        pytest.param("perl -ne code", id="code-for-each-line"),
        pytest.param("php -r code", id="code-of-php"),
        pytest.param("python -", id="standard-input"),
    ],
)
@given(arguments=st.lists(st.text(max_size=20), max_size=5))
def test_arguments_do_not_matter(front: str, arguments: list[str]) -> None:
    """Arguments after the script or the code do not change the name."""
    words = front.split()

    assert name_of_command(words) == name_of_command([*words, *arguments])


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_words_have_a_name(words: list[str]) -> None:
    """No list of words raises, and the name is a part of one of them."""
    name = name_of_command(words)

    assert any(name in word for word in [*words, ""])


@given(st.sampled_from(["python -c", "bash -xlc", "perl -pe", "ruby -we", "node -pe", "php -r", "sh -c"]), st.text())
def test_code_is_not_shown(front: str, code: str) -> None:
    """Code on the command line is an argument: the interpreter gives the name."""
    words = front.split()

    assert words[0] == name_of_command([*words, code])


@pytest.mark.parametrize(
    ("command", "target"),
    [
        pytest.param("/usr/bin/python3.11 -u /opt/backup.py --all", "/opt/backup.py", id="script"),
        pytest.param("python -c pass x.py", "", id="code"),
        pytest.param("node --require hook.js src/main.js", "src/main.js", id="option-with-value"),
        pytest.param("java -cp lib/a.jar com.acme.Main", "com.acme.Main", id="class"),
        pytest.param("java -jar lib/a.jar", "lib/a.jar", id="jar"),
        pytest.param("aws s3 ls", "", id="no-interpreter"),
        pytest.param("python", "", id="alone"),
        pytest.param("", "", id="empty"),
    ],
)
def test_target(command: str, target: str) -> None:
    """What an interpreter runs, with its path."""
    assert target_of(command.split()) == target
