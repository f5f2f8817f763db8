"""How many cores and how much memory this process may use.

Linux's control groups limit both, as in a container. Both versions are read: version 2 has one tree
of groups, version 1 one a controller. A group's limit holds for those within it, so every group
from the process's own up to the root counts; groups that a container does not see are passed over.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")  # where the groups are mounted
OWN: Final = Path("/proc/self/cgroup")  # lists the groups of this process


def cores() -> int:
    """Cores this process may use, by its affinity, its container's quota and its SLURM job."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    # Not every cluster binds a job to the cores that it gave it.
    allowed = min(allowed, int(os.environ.get("SLURM_CPUS_ON_NODE", allowed)))
    return min(allowed, max(1, math.ceil(min(allowed, cpus()))))


def cpus(root: Path = ROOT, own: Path = OWN) -> float:
    """Cores that the quota amounts to, infinite where there is none."""
    limit = math.inf
    for group in _groups("cpu", root, own):
        quota, period = [*_words(group / "cpu.max"), "", ""][:2]
        if not quota:
            quota = _value(group / "cpu.cfs_quota_us")
            period = _value(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit():  # without a quota it is 'max' or -1
            limit = min(limit, int(quota) / int(period))
    return limit


def free_memory(root: Path = ROOT, own: Path = OWN) -> float:
    """Bytes that can be allocated before the limit is reached, infinite where there is none."""
    free = math.inf
    for group in _groups("memory", root, own):
        limit = _value(group / "memory.max") or _value(group / "memory.limit_in_bytes")
        used = _value(group / "memory.current") or _value(group / "memory.usage_in_bytes")
        if limit.isdigit() and used.isdigit():
            free = min(free, int(limit) - int(used) + _cached(group))
    return free


def _cached(group: Path) -> int:
    """Bytes of files that the kernel keeps in memory and gives up when memory is short."""
    words = _words(group / "memory.stat")
    values = dict(zip(words[::2], words[1::2], strict=False))
    return int(values.get("total_inactive_file") or values.get("inactive_file") or 0)


def _groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """The folders of the groups that limit this process in one resource."""
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = root / controllers
            group = top / path.strip("/")
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(top))


def _words(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(encoding="utf-8").split()
    return []


def _value(file: Path) -> str:
    return next(iter(_words(file)), "")
