"""Settings: read strictly, with the file, the key, what was found and what was wanted in every refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import NotFoundError, SettingsError
from opsnb.base.settings import Settings, read, seconds, size
from opsnb.base.workspace import find


def settings(tmp_path: Path, text: str) -> Settings:
    """Read settings from text."""
    path = tmp_path / "opsnb.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_every_setting_has_a_default(tmp_path: Path) -> None:
    """An empty file is valid."""
    assert settings(tmp_path, "") == Settings()


def test_what_is_written_counts(tmp_path: Path) -> None:
    """Durations and sizes are read with their units."""
    found = settings(
        tmp_path, "name: a\ntimeout: 1h30m\ncell_timeout: 90\nmemory: 1.5GiB\nworkers: 3\nlanguage: zh_CN\n"
    )
    assert (found.timeout, found.cell_timeout, found.memory) == (5400.0, 90.0, 3 * 512 * 1024**2)
    assert (found.workers, found.language) == (3, "zh_CN")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wokers: 2", "did you mean 'workers'"),
        ("workers: 0", "1 to 256"),
        ("workers: true", "1 to 256"),
        ("timeout: soon", "duration"),
        ("timeout: -5", "duration"),
        ("memory: much", "size"),
        ("language: fr", "en, zh_CN"),
        ("kernel: thread", "'fork' or 'spawn'"),
        ("name: 'a b'", "letters"),
        ("allow_unconfined_changes: 1", "true or false"),
        ("- a", "keys and values"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong is refused, and the message names file and setting."""
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, text)
    assert says in str(caught.value)
    assert "opsnb.yaml" in str(caught.value)


@given(st.integers(0, 100), st.integers(0, 59), st.integers(1, 59))
def test_durations(hours: int, minutes: int, secs: int) -> None:
    """1h2m3s is what it says."""
    assert seconds(f"{hours}h{minutes}m{secs}s") == hours * 3600 + minutes * 60 + secs


@pytest.mark.parametrize("value", ["", "m", "1d2", None, True, [], 0, -1])
def test_no_durations(value: object) -> None:
    """What is not a duration is refused."""
    with pytest.raises(ValueError, match="duration"):
        seconds(value)


@pytest.mark.parametrize("value", ["", "GiB", "1 GB", None, True, "-1"])
def test_no_sizes(value: object) -> None:
    """What is not a size is refused."""
    with pytest.raises(ValueError, match="size"):
        size(value)


def test_a_workspace_is_found_upwards(tmp_path: Path) -> None:
    """From any folder inside it; from outside the message says how to make one."""
    (tmp_path / "opsnb.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find(tmp_path / "a" / "b").root == tmp_path
    with pytest.raises(NotFoundError, match="opsnb init"):
        find(Path("/"))
