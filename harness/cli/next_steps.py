"""What ``harness init`` says once it has written ``harness.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from harness.config import settings
from harness.config.sources import absolute
from harness.utils import console

DATA: Final[tuple[str, ...]] = ("endocv", "hyperkvasir", "test_frames")

_NEXT: Final = (
    ((), "harness data check"),
    (("endocv", "train"), "harness train --preset quick"),
    (("endocv", "train"), "harness evaluate --split val"),
    (("hyperkvasir", "test"), "harness evaluate --split test"),
    (("test_frames",), "harness submit --round {round}"),
    ((), "harness leaderboard"),
)
"""Next steps, each with the settings of which it needs one."""


def name_overriding_variables() -> None:
    """Warn of environment variables that change what the file says."""
    written, found = settings.load(env={}), settings.load()
    changed = [n for n in settings.MEANINGS if getattr(written, n) != getattr(found, n)]
    if variables := ", ".join(map(settings.variable, changed)):
        console.warn(
            f"The environment says something else and wins over {settings.FILE_NAME}; unset, where "
            f"it should not: {variables}."
        )


def name_next_steps(merged: dict[str, Any]) -> None:
    """Name the commands that can follow, and the folders that are not set yet."""
    from submissions.rounds import BUILT_IN, load_rounds

    missing = [] if "train" in merged else [name for name in DATA if name not in merged]
    if missing:
        console.note(f"Not set yet: {', '.join(settings.flag(name) for name in missing)}.")
    own_test = {"test"} if "train" in merged and "splits" in merged else set()
    there = set(merged) | own_test
    own = load_rounds(absolute(Path.cwd(), merged["rounds"])) if "rounds" in merged else {}
    rounds = [name for name in own if own[name] not in BUILT_IN] or [one.name for one in BUILT_IN]
    steps = [
        step.format(round=name)
        for needed, step in _NEXT
        if not needed or there & set(needed)
        for name in (rounds if "{round}" in step else rounds[:1])
    ]
    console.note("\n".join(["Next:", *(f"  {step}" for step in steps)]))
