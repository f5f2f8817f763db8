from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.__main__ import forget_current_folder

ROOT = Path(harness.__file__).parents[1]
LIBRARY = ("json", "click", "typing", "difflib")
HOSTILE = "raise RuntimeError('a folder of the user was imported')\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A team's own folder, whose names are ours and the standard library's."""
    for name in ("models", "metrics", "submissions", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(HOSTILE)
    for name in LIBRARY:
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    return tmp_path


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False
    )


def without_the_librarys_names(folder: Path) -> None:
    """Python itself, or torchrun, imports these before a line of ours runs."""
    for name in LIBRARY:
        (folder / f"{name}.py").unlink()


@pytest.mark.parametrize(
    "start",
    [
        [str(Path(sys.executable).with_name("harness"))],
        [sys.executable, "-m", "harness"],
        [sys.executable, "-u", "-m", "harness"],
    ],
    ids=["script", "module", "unbuffered module"],
)
def test_the_users_own_folders_are_not_imported(hostile: Path, start: list[str]) -> None:
    # A command that imports metrics and submissions, but not torch.
    result = run([*start, "submissions"], hostile)
    assert result.returncode == 0, result.stderr
    assert "Round 2: 2 of 2 left today" in result.stderr


@pytest.mark.slow
def test_nor_is_a_folder_called_models(hostile: Path) -> None:
    result = run([sys.executable, "-m", "harness", "models"], hostile)
    assert result.returncode == 0, result.stderr
    assert "divergentnets" in result.stdout


@pytest.mark.parametrize("path", [".", os.pathsep])
def test_nor_when_pythonpath_names_them(hostile: Path, path: str) -> None:
    without_the_librarys_names(hostile)
    result = run([sys.executable, "-m", "harness", "submissions"], hostile, PYTHONPATH=path)
    assert result.returncode == 0, result.stderr
    assert "Round 2: 2 of 2 left today" in result.stderr


def test_without_the_guard_they_would_be(hostile: Path) -> None:
    without_the_librarys_names(hostile)
    result = run([sys.executable, "-c", "import models"], hostile)
    assert "a folder of the user was imported" in result.stderr


@pytest.mark.slow
def test_torchrun_does_not_import_them_either(hostile: Path) -> None:
    without_the_librarys_names(hostile)
    torchrun = str(Path(sys.executable).with_name("torchrun"))
    result = run([torchrun, "--nproc-per-node", "1", "-m", "harness", "models"], hostile)
    assert result.returncode == 0, result.stderr
    assert "divergentnets" in result.stdout


def test_only_what_stands_before_the_standard_library_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = str(Path(os.__file__).parent)
    here = str(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", here, "/elsewhere", library, "/site", here])
    forget_current_folder()
    assert sys.path == ["/elsewhere", library, "/site", here]


def test_a_clone_keeps_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    library = str(Path(os.__file__).parent)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", library])
    forget_current_folder()
    assert sys.path == ["", library]


def test_a_current_folder_that_is_gone_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    forget_current_folder()
