from __future__ import annotations

from pathlib import Path

import pytest

from metrics.utils.errors import UserError
from submissions.layout import PackageLayout
from submissions.reading.find_packages import find_packages
from submissions.rounds import Round

TASK = Round(name="t", daily_limit=1, layout=PackageLayout(task="EndoCV2021"))
FLAT = PackageLayout(root="results", task="", folders="{test_set}", prefix="S")
ROUNDS = [TASK, Round(name="f", daily_limit=1, layout=FLAT)]


def make(root: Path, *paths: str) -> Path:
    """Folders, and files where the path ends in .zip or .txt."""
    for path in map(root.joinpath, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".zip", ".txt"):
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    return root


def test_a_zip_and_an_unpacked_package_are_themselves(tmp_path: Path) -> None:
    make(tmp_path, "a.zip", "b/EndoCV2021", "c.v2/inner/EndoCV2021")
    for name, shown in (("a.zip", "a"), ("b", "b"), ("c.v2", "c.v2")):
        assert find_packages(tmp_path / name, ROUNDS) == ([(tmp_path / name, shown)], [])


def test_a_folder_is_searched_one_level_down(tmp_path: Path) -> None:
    make(tmp_path, "z.zip", "team/a.zip", "team/b/inner/EndoCV2021", "read.txt", "empty")
    (tmp_path / "z.json").touch()  # the manifest that is written beside a package
    make(tmp_path, "__MACOSX/z.zip", ".hidden.zip", "x/y/deep.zip")
    packages, others = find_packages(tmp_path, ROUNDS)
    assert [name for _, name in packages] == ["team/a", "team/b", "z"]
    assert others == [".hidden.zip", "__MACOSX", "empty", "read.txt", "x"]


def test_a_folder_without_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found neither"):
        find_packages(make(tmp_path, "read.txt"), ROUNDS)


def test_a_package_without_a_task_is_known_by_its_test_sets(tmp_path: Path) -> None:
    make(tmp_path, "team/results/S1", "others/results/T1", "results/S2")
    for name in ("team", "team/results", "results"):
        assert find_packages(tmp_path / name, ROUNDS).packages == [
            (tmp_path / name, Path(name).name)
        ]
    with pytest.raises(UserError, match="found neither"):
        find_packages(tmp_path / "others", ROUNDS)


def test_a_folder_has_its_whole_name_also_with_a_dot(tmp_path: Path) -> None:
    make(tmp_path, "net.v1/x/EndoCV2021", "net.v2.zip")
    assert find_packages(tmp_path / "net.v1", ROUNDS).packages == [(tmp_path / "net.v1", "net.v1")]
    names = [name for _, name in find_packages(tmp_path, ROUNDS).packages]
    assert names == ["net.v1", "net.v2"]
