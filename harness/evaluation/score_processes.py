"""Score packages in several processes; one that is killed costs none of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from metrics.masks.classes import ONE, Classes
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError
from submissions.layout import PackageLayout
from submissions.rounds import Round
from submissions.scoring import PackageScore, score_package
from submissions.truth import Truth, find_truth


@dataclass(frozen=True, kw_only=True)
class Task:
    """A package to score.

    Attributes:
        package: The zip or folder.
        truth: The folder of the true masks.
        round: Its round; ``None`` for none.
        protocol: As for ``submissions.scoring.score_package``.
        hausdorff: As for ``submissions.scoring.score_package``.
        classes: What the values of true masks mean.
        threshold: As for ``submissions.scoring.score_package``.
    """

    package: Path
    truth: Path
    round: Round | None
    protocol: Protocol
    hausdorff: bool
    classes: Classes = ONE
    threshold: float | None = None


def score_tasks(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, PackageScore | str]]:
    """Score packages side by side.

    Where a process is killed, what it had not finished is scored anew, from then on by one process
    at a time; a package at which that is killed, too, is given up.

    Args:
        tasks: The packages.
        processes: How many at a time; each reads the truth once.

    Yields:
        The position of a package, as it is done, and its score, or why it cannot be scored.
    """
    waiting = dict(enumerate(tasks))
    while waiting:
        try:
            for position, outcome in _run(waiting, min(processes, len(waiting))):
                del waiting[position]
                yield position, outcome
        except BrokenProcessPool:
            if processes == 1:
                position = next(iter(waiting))
                killed = f"{waiting.pop(position).package}: the process that scored it was killed"
                yield position, f"{killed}; most likely memory ran out."
            processes = 1


def _run(tasks: dict[int, Task], processes: int) -> Iterator[tuple[int, PackageScore | str]]:
    # Processes that decode with threads cannot be forked.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_score, task): position for position, task in tasks.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _score(task: Task) -> PackageScore | str:
    """The score of a package, or what is wrong with it as text: a fault's class is not pickled."""
    layout = task.round.layout if task.round else PackageLayout()
    try:
        truth = _kept_truth(task.truth, task.round, task.protocol, task.classes)
        return score_package(
            task.package,
            truth,
            task.protocol,
            layout=layout,
            hausdorff=task.hausdorff,
            threshold=task.threshold,
        )
    except UserError as error:
        return error.format_message()


def truth_of(folder: Path, round_: Round | None, protocol: Protocol, classes: Classes) -> Truth:
    """The true masks of a round.

    Raises:
        UserError: As for ``submissions.truth.find_truth``.
    """
    test_sets, layout = (round_.test_sets, round_.layout) if round_ else (None, None)
    return find_truth(folder, test_sets, layout, protocol, classes)


_kept_truth = lru_cache(truth_of)  # in a process of one call's own, in which no mask is corrected
