"""The language of a terminal: errors, usage and heads of tables in the reader's, what scripts read in English."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from opsnb.cli.main import main
from opsnb.cli.output import say, table


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in Chinese."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.delenv("OPSNB_URL", raising=False)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A directory in no workspace, and nobody who is signed in anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return str(tmp_path)


@pytest.mark.usefixtures("chinese")
def test_an_error_in_chinese(capsys: pytest.CaptureFixture[str], nowhere: str) -> None:
    """The word, the message and the next move; commands and names as they are, the exit code too."""
    code, out, err = said(capsys, "-w", nowhere, "whoami")
    assert (code, out) == (2, "")
    assert err.startswith(
        f"错误：{nowhere} 不在工作区内：此处及上级目录中都没有 opsnb.yaml\n  → 新建工作区：opsnb init ."
    )


def test_an_error_in_english(capsys: pytest.CaptureFixture[str], nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any other locale it is as it was written."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    _, _, err = said(capsys, "-w", nowhere, "whoami")
    assert err.startswith(f"error: {nowhere} is not in a workspace: no opsnb.yaml here or above\n  → make one with:")


@pytest.mark.usefixtures("chinese")
def test_what_scripts_read_is_english(capsys: pytest.CaptureFixture[str], nowhere: str) -> None:
    """With --json an error is the same document in every locale, a usage error too."""
    _, out, err = said(capsys, "-w", nowhere, "whoami", "--json")
    assert json.loads(out)["error"]["message"].endswith("is not in a workspace: no opsnb.yaml here or above")
    assert err == ""
    _, out, _ = said(capsys, "runs", "list", "--nope", "--json")
    assert json.loads(out)["error"]["message"].startswith("No such option '--nope'.")


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["runn"], "错误：没有命令 'runn'。您是否想用 'run'？"),
        (["runs", "list", "--nope"], "错误：没有选项 '--nope'。"),
        (["approve"], "错误：缺少参数 'REQUEST'。"),
        (["runs", "list", "--limit", "x"], "错误：'--limit' 的值无效：'x' 不是整数。"),
        (["runs", "show", "a", "b"], "错误：多出了参数（b）"),
        (["user", "import", "f", "--format", "xml"], "错误：'--format' 的值无效：'xml' 不在可选值之中：'yaml', 'csv'。"),
    ],
)  # fmt: skip
def test_how_a_command_is_written_in_chinese(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    """What click says of a wrong command line, its usage and where help is."""
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("用法：opsnb ")
    assert "查看帮助：opsnb" in err
    assert err.rstrip().endswith(line)


@pytest.mark.usefixtures("chinese")
def test_the_head_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Heads are told, rows are not, and columns stand below each other: a Chinese character is two wide."""
    table((say("HOST"), say("WHY")), [("web1", "x"), ("数据库", "y")])
    assert capsys.readouterr().out.splitlines() == ["主机    原因", "web1    x", "数据库  y"]


def test_english_reads_no_catalogue(nowhere: str) -> None:
    """A reader of English pays nothing for the other language: its module is not even imported."""
    program = (
        "import sys\nfrom opsnb.cli.main import main\n"
        f"try:\n    main(['-w', {nowhere!r}, 'whoami'])\nfinally:\n    print('opsnb.base.i18n' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"LC_ALL": "C.UTF-8", "HOME": nowhere, "PATH": ""}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "False\n")
