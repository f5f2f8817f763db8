"""What all tests share: one thread a process, no settings of the user's, and the real frames."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

# Before torch and NumPy are imported: the tests run side by side, and each is small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# The tests write and remove many small files, each made durable, for which a disk takes
# milliseconds and memory none. At most 1 GiB is used at a time.
_MEMORY: Final = Path("/dev/shm")
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# A script that runs the tests in its background has them and all that they start ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FRAMES: Final = ("HARNESS_ENDOCV", "HARNESS_HYPERKVASIR", "HARNESS_TEST_FRAMES")
SETTINGS: Final = {key: value for key, value in os.environ.items() if key.startswith("HARNESS_")}


@pytest.fixture(autouse=True)
def own_settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test on real frames sees the ``HARNESS_`` variables of the machine."""
    if request.node.get_closest_marker("realframes"):
        for name in FRAMES:
            if not Path(SETTINGS.get(name, "")).is_dir() or not SETTINGS.get(name):
                pytest.skip(f"{name} names no folder of real frames")
        return
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """What a test draws with torch does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def usual_console() -> Iterator[None]:
    """A command's ``--quiet`` and ``--json-logs`` end with its test."""
    from harness.utils import console

    yield
    console.configure()


@pytest.fixture
def endocv() -> Path:
    """Real EndoCV 2021 frames; for tests marked ``realframes``."""
    return Path(SETTINGS["HARNESS_ENDOCV"])


@pytest.fixture
def hyperkvasir() -> Path:
    """Real HyperKvasir frames; for tests marked ``realframes``."""
    return Path(SETTINGS["HARNESS_HYPERKVASIR"])


@pytest.fixture
def test_frames() -> Path:
    """The challenge's test frames; for tests marked ``realframes``."""
    return Path(SETTINGS["HARNESS_TEST_FRAMES"])
