"""What only a GPU can tell: that networks are right there, how fast they are, and a whole run.

``tox run -e gpu``, or without tox::

    python -m pytest tests/gpu -o filterwarnings=default

The parts share eight minutes on one H100:

right (``test_networks.py``, ``test_recording.py``, ``test_compiled.py``, ``test_commands.py``)
    Results on the GPU agree with those of the CPU, recorded and compiled work with the same as it
    comes; runs that are stopped go on.
fast (``test_prediction_speed.py``, ``test_training_speed.py``)
    Training and prediction with the paper's encoder. Speeds are recorded beside what is asked of
    them, and fail no check.
whole (``test_recipe.py``)
    The paper's recipe, for as many epochs as fit into its share of the time.

What no run on a GPU has told yet comes first (``FIRST``), whatever its part; what comes too late is
skipped. A check that hangs is ended, where Python can end it; else all end together, with the
stacks of their threads in ``stacks.txt`` beside ``gpu.json``.

Every figure goes into ``gpu.json`` in the current folder, written anew after each check. Variables:

``HARNESS_GPU_OUT``
    A folder for ``gpu.json``; tables, page and package of the whole run are copied there as well.
``HARNESS_ENDOCV``, ``HARNESS_HYPERKVASIR``, ``HARNESS_TEST_FRAMES``
    Real frames; without all three, frames are drawn.
``HARNESS_GPU_DRY=1``
    Tries the checks' code on a CPU, with tiny networks; its figures mean nothing.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from harness.config.settings import Settings
from harness.data.catalogue import catalogue
from harness.data.synthetic.dataset import write_dataset
from harness.runs.workspace import Workspace
from harness.training.train_run import TrainingFrames, prepare
from harness.utils import device as devices
from tests.gpu.commands import Command
from tests.gpu.report import PARTS, Report
from tests.gpu.scale import DRY, SCALE

HERE: Final = Path(__file__).parent
READY: Final = DRY or torch.cuda.is_available()
OUT: Final = os.environ.get("HARNESS_GPU_OUT", "")
REAL: Final = {
    name: os.environ.get(f"HARNESS_{name.upper()}", "")
    for name in ("endocv", "hyperkvasir", "test_frames")
}
REPORT: Final = Report(Path(OUT or ".").resolve()) if READY else None
FIRST: Final = (
    "test_sigterm",
    "test_two_networks",
    "test_a_network_that_cannot_be_recorded",
    "test_recording.py",
    "test_replayed_graphs",
    "test_compiled.py",
    "test_networks.py::test_probabilities[triunet",
    "test_networks.py::test_five_steps[triunet",
    f"test_networks.py::test_five_steps[unet-{SCALE.encoder}",
    "test_prediction_speed.py",
    "test_training_speed.py",
    "test_recipe.py",
)
"""Parts of the checks' names, in the order in which they run; the others follow."""


def place_of(item: pytest.Item) -> int:
    """A check's place among all; those of one place keep the order of their file."""
    return next((n for n, part in enumerate(FIRST) if part in item.nodeid), len(FIRST))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the checks into their order; without a GPU all are skipped."""
    places = [place for place, item in enumerate(items) if item.path.parent == HERE]
    ours = sorted((items[place] for place in places), key=place_of)
    for place, item in zip(places, ours, strict=True):
        items[place] = item
        if not READY:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    result = yield
    if REPORT is not None:
        REPORT.add(item, result)
    return result


@pytest.fixture(scope="session")
def report() -> Report:
    assert REPORT is not None
    return REPORT


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest, report: Report) -> None:
    """A check that comes too late is skipped, so that those after it have their time."""
    part = PARTS[request.node.path.stem]
    limit = {"right": SCALE.right_s, "fast": SCALE.fast_s, "whole": SCALE.whole_s}[part]
    report.check(request.node)
    report.write()
    if report.elapsed > limit:
        reason = f"no check of the part '{part}' begins after {limit:g} s"
        pytest.skip(f"{report.elapsed:.0f} s have passed; {reason}")


@pytest.fixture(autouse=True)
def ended(in_time: None, request: pytest.FixtureRequest, report: Report) -> Iterator[None]:
    """A check that hangs is ended."""
    is_whole = PARTS[request.node.path.stem] == "whole"
    left = max(1.0, SCALE.end_s - report.elapsed)
    seconds = left if is_whole else min(left, SCALE.check_s)

    def end(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with (report.file.parent / "stacks.txt").open("w") as stacks:
        # Where the main thread is in a library that never comes back, no signal is answered.
        faulthandler.dump_traceback_later(left + 5, exit=True, file=stacks)
        yield
        faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Compiles networks in the background."""
    folder = tmp_path_factory.mktemp("compiled")
    command = Command(folder, launcher=(HERE / "compiled.py",), answered=True)
    yield command
    command.kill()


@pytest.fixture
def figures(request: pytest.FixtureRequest, report: Report) -> dict[str, Any]:
    """Where a check enters what it measures."""
    entered: dict[str, Any] = report.check(request.node)["figures"]
    return entered


@pytest.fixture(scope="session", autouse=True)
def all_cores() -> None:
    """The tests at large keep to one thread."""
    torch.set_num_threads(devices.cores())


@pytest.fixture(scope="session")
def device() -> torch.device:
    return devices.choose(SCALE.device)


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    """The commands of other processes need the memory that a check leaves cached."""
    yield
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass(frozen=True, kw_only=True)
class Datasets:
    """Folders of frames.

    Attributes:
        settings: Where they lie.
        truth: The test frames' masks, which only drawn frames have.
    """

    settings: Settings
    truth: Path | None

    def options(self, *names: str) -> list[str]:
        """Options of the command line."""
        return [
            word
            for name in names
            for word in (f"--{name.replace('_', '-')}", str(getattr(self.settings, name)))
        ]


@pytest.fixture(scope="session")
def datasets(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    """Real frames where they are named, else drawn ones; ``gpu.json`` says which."""
    folder = tmp_path_factory.mktemp("frames")
    truth = None
    found = {name: Path(path).resolve() for name, path in REAL.items() if Path(path).is_dir()}
    real = all(REAL.values()) and len(found) == len(REAL)
    if not real:
        count, height = SCALE.drawn
        drawn = write_dataset(folder / "drawn", frames=count, height=height)
        found = {name: getattr(drawn, name) for name in REAL}
        truth = drawn.truth
    settings = Settings(workspace=folder / "workspace", **found)
    splits = catalogue(settings)["split"].value_counts()
    report.content["frames"] = {
        "source": "real" if real else "drawn",
        **{split: int(splits.get(split, 0)) for split in ("train", "val", "test")},
    }
    return Datasets(settings=settings, truth=truth)


@pytest.fixture(scope="session")
def decoded(datasets: Datasets) -> Callable[[int], TrainingFrames]:
    """The training and validation frames at a network's size, decoded once."""
    workspace = Workspace(datasets.settings.workspace)
    return lambda size: prepare(workspace, catalogue(datasets.settings), size)


@pytest.fixture(scope="session")
def keep() -> Callable[[Path, str], None]:
    """Copies a result beside ``gpu.json`` where ``HARNESS_GPU_OUT`` asks for it."""

    def copy(file: Path, name: str) -> None:
        if OUT:
            Path(OUT, name).write_bytes(file.read_bytes())

    return copy
