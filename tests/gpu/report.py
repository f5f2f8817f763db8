"""The JSON file that holds every figure; written anew after each check."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from harness.utils.versions import versions
from metrics.utils.files import atomic_path
from tests.gpu.scale import DRY, elapsed

ROOT: Final = Path(__file__).parents[2]
PARTS: Final = {
    "test_networks": "right",
    "test_recording": "right",
    "test_commands": "right",
    "test_compiled": "right",
    "test_prediction_speed": "fast",
    "test_training_speed": "fast",
    "test_recipe": "whole",
}
"""The part that a file of checks belongs to."""

_MESSAGE: Final = 3000  # characters of a failure that are kept, its end


class Report:
    """What is found, check by check.

    Args:
        folder: Where ``gpu.json`` is written; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "gpu.json"
        self.content: dict[str, Any] = {
            "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "command": "tox run -e gpu, or python -m pytest tests/gpu",
            "dry_run": DRY,
            "machine": setup(),
            "frames": {},
            "right": {},
            "fast": {},
            "whole": {},
        }

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return elapsed()

    def check(self, item: pytest.Item) -> dict[str, Any]:
        """What is recorded of a check."""
        part: dict[str, Any] = self.content[PARTS[item.path.stem]]
        return part.setdefault(
            item.name.removeprefix("test_"), {"outcome": "running", "seconds": 0.0, "figures": {}}
        )

    def add(self, item: pytest.Item, result: pytest.TestReport) -> None:
        """Record setup, body or teardown of a check; a failure in any of them counts."""
        entry = self.check(item)
        entry["seconds"] = round(entry["seconds"] + result.duration, 2)
        if result.failed:
            entry["outcome"] = "failed"
            entry["message"] = result.longreprtext[-_MESSAGE:]
        elif result.skipped:
            entry["outcome"] = "skipped"
            reason = result.longrepr
            entry["message"] = str(reason[2] if isinstance(reason, tuple) else reason)
        elif result.when == "call":
            entry["outcome"] = "passed"
        self.write()

    def write(self) -> None:
        """Write what there is so far; a run that is killed leaves the last writing."""
        self.content["seconds"] = round(self.elapsed, 1)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.file) as temporary:
            temporary.write_text(json.dumps(self.content, indent=1, default=str) + "\n")


def asked(measured: float, *, at_least: float | None = None, at_most: float | None = None) -> Any:
    """A figure beside what is asked of it."""
    if at_least is not None:
        return {"measured": measured, "asked": f">= {at_least:g}", "met": measured >= at_least}
    assert at_most is not None
    return {"measured": measured, "asked": f"<= {at_most:g}", "met": measured <= at_most}


def setup() -> dict[str, Any]:
    """Card, driver and versions; ``None`` for what is not there or not known."""
    cuda = torch.cuda.is_available()
    card = torch.cuda.get_device_properties(0) if cuda else None
    return {
        "card": card.name if card else None,
        "memory_gib": round(card.total_memory / 2**30, 1) if card else None,
        "driver": _said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if cuda else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.platform(),
        "versions": versions(),
        "commit": _said_by("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
    }


def _said_by(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
