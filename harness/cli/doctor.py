"""``harness doctor``: devices, versions, memory, disk, network, settings."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import click

from harness.cli.command import Command
from harness.cli.options import format_option
from harness.config import settings
from harness.config.sources import ROLES, Pair
from harness.report.tables.choices import Format
from harness.utils.device import cores, free_memory, gpus
from metrics.utils.errors import UserError
from metrics.utils.names import counted

GIB: Final = 2**30
MEMORY: Final = 4 * GIB
SHARED_MEMORY: Final = GIB // 2
DISK: Final = 5 * GIB
HUB_TIMEOUT_S: Final = 3.0

EPILOG = """\b
Examples:
  harness doctor
  harness doctor --format json > machine.json
"""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; a ``fault`` stops the harness, a ``warning`` some of it."""

    area: str
    name: str
    found: str
    status: Literal["ok", "warning", "fault"] = "ok"
    advice: str = ""


@click.command(cls=Command, epilog=EPILOG)
@format_option("table", "json")
def command(format_: Format) -> None:
    """Show what this machine has, and how to mend each fault.

    Devices, versions, memory, disk, caches, the hub of the encoders' weights, and the settings. The
    exit status is 1 if anything stops the harness.
    """
    import pandas as pd

    from harness.report.tables.columns import Column
    from harness.report.tables.view import View
    from harness.utils import console

    checks = examine()
    columns = [
        Column(key="area", title="Area"),
        Column(key="name", title="What"),
        Column(key="status", title="Status"),
        Column(key="found", title="Found"),
        Column(key="advice", title="What to do"),
    ]
    frame = pd.DataFrame([vars(check) for check in checks])
    View(frame=frame, columns=columns, group="area").show(format_)
    faults = sum(check.status == "fault" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    if faults:
        raise click.ClickException(f"{counted(faults, 'fault')} to mend first")
    if warnings:
        console.note(f"usable; {counted(warnings, 'warning')}")
    else:
        console.success("all is well")


def examine() -> list[Check]:
    """Look at everything; no check depends on another, and none changes anything."""
    areas = (software, devices, memory, network, caches, folders)
    return [check for area in areas for check in area()]


def software() -> Iterator[Check]:
    """Versions, and whether torch and torchvision fit each other."""
    from harness.utils.versions import versions

    found = versions()
    system = f"{found.pop('python')} on {platform.platform(terse=True)}"
    yield Check("software", "Python", system)
    yield from (Check("software", name, text) for name, text in found.items())
    try:
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        advice = (
            "Reinstall torch and torchvision, both from the same index: a CPU build of one does "
            "not fit a CUDA build of the other."
        )
        yield Check("software", "torchvision", str(error).splitlines()[0], "fault", advice)
    else:
        yield Check("software", "torchvision", torchvision.__version__)


def devices() -> Iterator[Check]:
    """What networks can run on, and a GPU that torch cannot use."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("devices", "torch", str(error).splitlines()[0], "fault", "Reinstall torch.")
        return
    yield Check("devices", "cpu", f"{cores()} cores, {torch.get_num_threads()} threads")
    for index in range(gpus()):
        card = torch.cuda.get_device_properties(index)
        found = f"{card.name}, {_size(card.total_memory)}"
        if _is_built_for(card.major, card.minor):
            yield Check("devices", f"cuda:{index}", found)
            continue
        found += f", of compute capability {card.major}.{card.minor}"
        advice = (
            f"torch {torch.__version__} is not built for it. Install one of an older CUDA, or of a "
            "newer one for a newer card, or use --device cpu."
        )
        yield Check("devices", f"cuda:{index}", found, "warning", advice)
    if torch.backends.mps.is_available():
        yield Check("devices", "mps", platform.machine())
    driver = torch.cuda.device_count() or Path("/proc/driver/nvidia/version").exists()
    if driver and not torch.cuda.is_available():
        found = f"an NVIDIA driver, but torch {torch.__version__} cannot use it"
        advice = "This torch is a CPU build; install the one of PyPI."
        if torch.version.cuda:
            advice = f"Update the driver for CUDA {torch.version.cuda}."
        yield Check("devices", "cuda", found, "warning", advice)


def _is_built_for(major: int, minor: int) -> bool:
    """Whether torch has code for a compute capability; without a list (ROCm) it is taken to."""
    import torch

    built = re.findall(r"(sm|compute)_(\d+)", " ".join(torch.cuda.get_arch_list()))
    # Code runs on later cards of its generation; what the driver compiles, on all later ones.
    return not built or any(
        divmod(int(number), 10) <= (major, minor)
        and (kind == "compute" or int(number) // 10 == major)
        for kind, number in built
    )


def memory() -> Iterator[Check]:
    """Memory that is free, and what worker processes share."""
    import psutil

    free = free_memory()
    advice = "Close programs, or lower --batch-size and --size." if free < MEMORY else ""
    yield Check("memory", "free", _size(free), "warning" if advice else "ok", advice)
    if Path("/dev/shm").is_dir():
        total = psutil.disk_usage("/dev/shm").total
        little = total < SHARED_MEMORY
        advice = "Start the container with --shm-size 2g, or use --workers 0." if little else ""
        yield Check("memory", "shared", _size(total), "warning" if advice else "ok", advice)


def network(timeout_s: float = HUB_TIMEOUT_S) -> Iterator[Check]:
    """Whether the hub of the encoders' weights answers."""
    from models import hub

    fault = hub.fault(timeout_s)
    advice = (
        "Only the weights that 'harness models --encoders' lists as the hub's need it: train with "
        "another encoder, with --encoder-weights none, or give a file."
    )
    found = f"{hub.address()}: {fault or 'answers'}"
    yield Check("network", "hub", found, "warning" if fault else "ok", advice if fault else "")


def caches() -> Iterator[Check]:
    """Whether encoder weights are there, and how large the decoded frames are."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from harness.config.training import TrainConfig
    from models.hub import cached_file

    encoder = TrainConfig(model="unet").encoder
    there = cached_file(encoder, "imagenet") is not None
    found = f"{encoder} {'is' if there else 'is not'} in {HF_HUB_CACHE}"
    advice = "" if there else "Nothing: --preset paper fetches it once, where the hub answers."
    yield Check("cache", "weights", found, advice=advice)
    yield from _packaged_weights()
    with suppress(UserError):  # folders() reports settings that cannot be read
        folder = settings.load().workspace / "cache"
        held = _bytes_below(folder)
        found = f"{_size(held)} of decoded frames" if held else "empty"
        yield Check("cache", "frames", f"{folder}, {found}")


def _bytes_below(folder: Path) -> int:
    """The size of all files in a folder; those that a training removes meanwhile do not count."""
    total = 0
    for root, _, names in os.walk(folder):  # unlike Path.rglob it passes over folders that vanish
        for name in names:
            with suppress(OSError):
                total += Path(root, name).stat().st_size
    return total


def _packaged_weights() -> Iterator[Check]:
    """Whether the encoder weights of installed packages are whole."""
    from models import ModelError
    from models.packaged import PACKAGES

    for encoder, package in PACKAGES.items():
        if not package.version:
            continue
        try:
            package.check()
        except ModelError as error:
            yield Check("cache", package.name, error.message, "fault")
        else:
            yield Check("cache", package.name, f"{package.version}, the weights of {encoder}")


def folders() -> Iterator[Check]:
    """The settings, whether their folders are there, and room in the workspace."""
    try:
        chosen = settings.load()
    except UserError as error:
        advice = "Correct it, or write it again with 'harness init --force'."
        yield Check("settings", settings.FILE_NAME, error.format_message(), "fault", advice)
        return
    own = chosen.train is not None
    for name in settings.MEANINGS:
        if name not in ("workspace", *ROLES):
            yield _setting(name, getattr(chosen, name), needed=not own)
    sets = ((f"test {name}", source) for name, source in chosen.test.items())
    for name, source in (("train", chosen.train), ("val", chosen.val), *sets):
        for path in (source.images, source.masks) if isinstance(source, Pair) else (source,):
            yield _setting(name, path, needed=False)
    yield _workspace(chosen.workspace)


def _setting(name: str, path: Path | None, *, needed: bool = True) -> Check:
    key, _, test_set = name.partition(" ")
    flag = " ".join(filter(None, (settings.flag(key), test_set)))
    if path is None:
        if not needed or name not in ("endocv", "hyperkvasir", "test_frames"):
            return Check("settings", name, "not set")
        return Check(
            "settings", name, "not set", "warning", f"Set it with 'harness init {flag} DIR'."
        )
    found = f"{path} is not there"
    try:
        path.stat()
    except PermissionError:
        found = f"{path} lies in a folder without access"
    except OSError:
        pass
    else:
        return Check("settings", name, str(path))
    advice = f"Correct {flag}, {settings.variable(key)} or {settings.FILE_NAME}."
    return Check("settings", name, found, "fault", advice)


def _workspace(path: Path) -> Check:
    import psutil

    # Path.exists raises where a folder above may not be looked into.
    there = next(p for p in (path, *path.parents) if os.path.exists(p))  # noqa: PTH110
    if there == path and path.is_dir() and not os.access(path, os.W_OK):
        found = f"{path} can be read only: its runs can be listed, evaluated and predicted with"
        advice = "To train, submit or keep results, give another folder with --workspace."
        return Check("disk", "workspace", found, "warning", advice)
    if not there.is_dir() or not os.access(there, os.W_OK):
        advice = "Give another folder with --workspace."
        return Check("disk", "workspace", f"{there} cannot be written", "fault", advice)
    free = psutil.disk_usage(str(there)).free
    found = f"{path}, {_size(free)} free"
    if free >= DISK:
        return Check("disk", "workspace", found)
    advice = "Make room, or give a folder on another disk with --workspace."
    return Check("disk", "workspace", found, "warning", advice)


def _size(count: int) -> str:
    return f"{count / GIB:,.1f} GiB"
