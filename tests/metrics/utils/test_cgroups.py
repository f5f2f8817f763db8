"""Limits of control groups, from files as Linux lays them out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from metrics.utils import cgroups

GIB = 2**30


def groups(root: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (root / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / name).write_text(text)
    (root / "cgroup").write_text(own)
    return root / "fs", root / "cgroup"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # a container sees itself as the root
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/gone\n", {"cpu.max": "max 100000"}, math.inf),
        (
            "3:cpu,io:/job\n0::/\n",
            {"cpu,io/job/cpu.cfs_quota_us": "50000", "cpu,io/job/cpu.cfs_period_us": "1000"},
            50.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1000"}, math.inf),
    ],
)  # fmt: skip
def test_the_smallest_quota_on_the_way_to_the_root_counts(
    tmp_path: Path, own: str, files: dict[str, str], expected: float
) -> None:
    assert cgroups.cpus(*groups(tmp_path, own, files)) == expected


def test_memory_that_only_caches_files_is_free(tmp_path: Path) -> None:
    files = {
        "memory.max": str(4 * GIB),
        "memory.current": str(3 * GIB),
        "memory.stat": f"anon {GIB}\ninactive_file {GIB}\n",
    }
    assert cgroups.free_memory(*groups(tmp_path, "0::/\n", files)) == 2 * GIB


def test_without_groups_nothing_is_limited(tmp_path: Path) -> None:
    nothing = tmp_path / "none", tmp_path / "none"
    assert cgroups.cpus(*nothing) == cgroups.free_memory(*nothing) == math.inf


def test_cores_are_those_of_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cgroups, "cpus", lambda: 2.5)
    assert cgroups.cores() == 3
