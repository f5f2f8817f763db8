"""What holds for the project as a whole: its rooms, the imports between them, what it ships."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

import harness

ROOT: Final = Path(__file__).parents[1]
MAY_IMPORT: Final = {
    "metrics": set(),
    "models": set(),
    "submissions": {"metrics"},
    "harness": {"metrics", "models", "submissions"},
}
HEAVY: Final = (
    "albumentations",
    "altair",
    "cv2",
    "matplotlib",
    "pandas",
    "scipy",
    "segmentation_models_pytorch",
    "skimage",
    "torch",
    "vl_convert",
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the package"
            yield node.module or ""


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in {*MAY_IMPORT, "tests"} - allowed
    ]
    assert modules(package)
    assert wrong == []


def test_imports_point_down_the_table_of_the_design() -> None:
    table = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("## ")[1]
    rooms = [
        room.split("/") for room in re.findall(r"^\| `([\w/]+)(?:\.py)?` \|", table, re.MULTILINE)
    ]
    assert {room[1] for room in rooms if len(room) > 1} == {
        path.stem
        for path in (ROOT / "harness").iterdir()
        if not re.match(r"__|py\.typed", path.name)
    }

    def level(parts: Sequence[str]) -> int:
        found = (at for at, room in enumerate(rooms) if room == list(parts[: len(room)]))
        return next(found, len(rooms))

    up = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in MAY_IMPORT
        for path in modules(package)
        for name in imported(path)
        if level(name.split(".")) < level(path.relative_to(ROOT).with_suffix("").parts) < len(rooms)
    ]
    assert up == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_is_typed_and_has_tests(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert list((ROOT / "tests" / package).rglob("test_*.py"))


def test_the_tests_mirror_the_rooms() -> None:
    tests = ROOT / "tests"
    folders = [
        path.parent
        for path in tests.glob("*/**/test_*.py")
        if path.parts[-2] not in ("gpu", "slurm")
    ]
    strangers = {
        str(folder)
        for folder in folders
        if not (ROOT / folder.relative_to(ROOT / "tests")).is_dir()
    }
    assert strangers == set()


def test_the_console_script_is_the_module() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="harness")
    assert script.value == "harness.__main__:main"


def test_the_version_is_the_packages() -> None:
    assert metadata.version("harness") == harness.__version__


def test_every_direct_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    wanted = project["dependencies"] + [
        name
        for extra in ("export", "test", "types", "lint")
        for name in project["optional-dependencies"][extra]
    ]
    names = {name.split(">")[0].split("<")[0].split("=")[0].strip() for name in wanted}
    assert names - pinned == set()


def test_the_constraints_bind_no_platform() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert [pin for pin in pins if pin.startswith(("nvidia", "cuda", "triton")) or "+" in pin] == []
    assert [pin for pin in pins if "@" in pin or "://" in pin] == []


def loaded_after(code: str, tmp_path: Path) -> set[str]:
    """Heavy packages in memory after some Python code, in a process of its own."""
    report = f"import sys; print('LOADED', *(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split("LOADED")[1].split())


def test_the_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """
import sys
from harness.__main__ import main
sys.argv = ["harness", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
"""
    assert loaded_after(code, tmp_path) == set()


def test_no_command_loads_anything_heavy_before_it_runs(tmp_path: Path) -> None:
    code = """
import click
from harness.cli import cli
context = click.Context(cli)
for name in cli.list_commands(context):
    assert cli.get_command(context, name) is not None
"""
    assert loaded_after(code, tmp_path) == set()


def test_leaderboard_comparisons_and_pages_do_without_torch(tmp_path: Path) -> None:
    code = """
import harness.evaluation.standings, harness.report.views.ranks, harness.runs.seeds
import harness.report.page.from_round, harness.report.page.page
"""
    assert not {"torch", "segmentation_models_pytorch"} & loaded_after(code, tmp_path)


def test_the_check_for_heavy_packages_sees_them(tmp_path: Path) -> None:
    assert "pandas" in loaded_after("import pandas", tmp_path)


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("tests/benchmarks/bench_*.py"), *ROOT.glob("tests/gpu/*.py")]),
    ids=lambda path: path.stem,
)
def test_rarely_run_tests_find_what_they_import(path: Path) -> None:
    # Benchmarks and GPU tests do not run with the others, so a rename may pass them by.
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MAY_IMPORT
        for alias in node.names
        if not _exists(node.module or "", alias.name)
    ]
    assert not missing


def _exists(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None
