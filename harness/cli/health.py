"""What this machine has, and what to do about what it lacks."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness.config import settings
from harness.utils.versions import versions
from metrics.utils.errors import UserError

Status = Literal["ok", "warning", "fault"]

GIB: Final = 2**30
MEMORY: Final = 4 * GIB
SHARED_MEMORY: Final = GIB // 2
DISK: Final = 5 * GIB
HUB_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        area: What it belongs to: software, devices, memory, network, cache, settings or disk.
        name: What was looked at.
        status: ``fault`` stops the harness, ``warning`` some of it.
        found: What is there.
        advice: What to do; empty where nothing needs doing.
    """

    area: str
    name: str
    status: Status = "ok"
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Look at everything; no check depends on another, and none changes anything."""
    areas: tuple[Callable[[], Iterator[Check]], ...] = (
        software,
        devices,
        memory,
        network,
        caches,
        folders,
    )
    return [check for area in areas for check in area()]


def software() -> Iterator[Check]:
    """Versions, and whether torch and torchvision fit each other."""
    found = versions()
    system = f"{found.pop('python')} on {platform.platform(terse=True)}"
    yield Check(area="software", name="Python", found=system)
    yield from (Check(area="software", name=name, found=text) for name, text in found.items())
    try:
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        yield Check(
            area="software",
            name="torchvision",
            status="fault",
            found=str(error).splitlines()[0],
            advice="Install torch and torchvision anew, both from the same index: "
            "a CPU build of one does not fit a CUDA build of the other.",
        )
    else:
        yield Check(area="software", name="torchvision", found=torchvision.__version__)


def devices() -> Iterator[Check]:
    """What networks can run on, and a GPU that torch cannot use."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check(
            area="devices",
            name="torch",
            status="fault",
            found=str(error).splitlines()[0],
            advice="Install torch anew.",
        )
        return
    yield Check(area="devices", name="cpu", found=f"{os.cpu_count()} cores, {_threads()} threads")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        found = f"{card.name}, {_size(card.total_memory)}"
        yield Check(area="devices", name=f"cuda:{index}", found=found)
    if torch.backends.mps.is_available():
        yield Check(area="devices", name="mps", found=platform.machine())
    if Path("/proc/driver/nvidia/version").exists() and not torch.cuda.is_available():
        yield Check(
            area="devices",
            name="cuda",
            status="warning",
            found=f"an NVIDIA driver, but torch {torch.__version__} cannot use it",
            advice=f"Update the driver for CUDA {torch.version.cuda}."
            if torch.version.cuda
            else "This torch is a CPU build; install the one of PyPI.",
        )


def memory() -> Iterator[Check]:
    """Memory that is free, and what worker processes share."""
    free = _available_memory()
    if free is not None:
        yield Check(
            area="memory",
            name="free",
            status="warning" if free < MEMORY else "ok",
            found=_size(free),
            advice="Close programs, or lower --batch-size and --size." if free < MEMORY else "",
        )
    shared = Path("/dev/shm")
    if shared.is_dir():
        total = shutil.disk_usage(shared).total
        little = total < SHARED_MEMORY
        yield Check(
            area="memory",
            name="shared",
            status="warning" if little else "ok",
            found=_size(total),
            advice="Start the container with --shm-size 2g, or use --workers 0." if little else "",
        )


def network(timeout_s: float = HUB_TIMEOUT_S) -> Iterator[Check]:
    """Whether the hub of the encoders' weights answers.

    Args:
        timeout_s: Seconds to wait for it.
    """
    from models import hub

    fault = hub.fault(timeout_s)
    yield Check(
        area="network",
        name="hub",
        status="warning" if fault else "ok",
        found=f"{hub.address()}: {fault or 'answers'}",
        advice="Only ImageNet weights need it: train with --encoder-weights none, or give a file."
        if fault
        else "",
    )


def caches() -> Iterator[Check]:
    """Whether the paper's encoder weights are there, and how large the decoded frames are."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from harness.config.training import TrainConfig
    from models.weights import cached

    encoder = TrainConfig(model="unet").encoder
    there = cached(encoder, "imagenet")
    yield Check(
        area="cache",
        name="weights",
        found=f"{encoder} {'is' if there else 'is not'} in {HF_HUB_CACHE}",
        advice="" if there else "Nothing: --preset paper fetches it once, where the hub answers.",
    )
    with contextlib.suppress(UserError):
        folder = settings.load().workspace / "cache"
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        found = f"{folder}, {_size(size)} of decoded frames" if files else f"{folder}, empty"
        yield Check(area="cache", name="frames", found=found)


def folders() -> Iterator[Check]:
    """The settings, whether their folders are there, and room in the workspace."""
    try:
        chosen = settings.load()
    except UserError as error:
        yield Check(
            area="settings",
            name=settings.FILE_NAME,
            status="fault",
            found=error.format_message(),
            advice="Mend it, or write it anew with 'harness init --force'.",
        )
        return
    for name in settings.MEANINGS:
        path: Path | None = getattr(chosen, name)
        if name != "workspace":
            yield _setting(name, path)
    yield _workspace(chosen.workspace)


def _setting(name: str, path: Path | None) -> Check:
    needed = name in ("endocv", "hyperkvasir", "test_frames")
    if path is None:
        advice = f"Set it with 'harness init {settings.flag(name)} DIR'." if needed else ""
        status: Status = "warning" if needed else "ok"
        return Check(area="settings", name=name, status=status, found="not set", advice=advice)
    if not path.exists():
        return Check(
            area="settings",
            name=name,
            status="fault",
            found=f"{path} is not there",
            advice=f"Correct {settings.flag(name)}, {settings.variable(name)} or "
            f"{settings.FILE_NAME}.",
        )
    return Check(area="settings", name=name, found=str(path))


def _workspace(path: Path) -> Check:
    there = next(p for p in (path, *path.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        status: Status = "fault"
        found, advice = f"{there} cannot be written", "Give another folder with --workspace."
    else:
        free = shutil.disk_usage(there).free
        status = "warning" if free < DISK else "ok"
        found, advice = f"{path}, {_size(free)} free", ""
        if free < DISK:
            advice = "Make room, or give a folder on another disk with --workspace."
    return Check(area="disk", name="workspace", status=status, found=found, advice=advice)


def _available_memory() -> int | None:
    """Bytes that can be had without swapping; ``None`` where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines)
    return int(values["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in values else None


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _size(count: int) -> str:
    return f"{count / GIB:,.1f} GiB"
