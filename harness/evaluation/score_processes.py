"""Score packages in several processes; one that is killed costs none of the others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from metrics.masks.classes import ONE, Classes
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError
from submissions.rounds import Round
from submissions.scoring import PackageScore, score_package
from submissions.truth import Truth, find_truth


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the packages of one call are scored.

    Attributes:
        folder: The folder of the true masks.
        classes: What the values of true masks mean.
        protocol, hausdorff, threshold: As for ``submissions.scoring.score_package``.
    """

    folder: Path
    protocol: Protocol
    hausdorff: bool
    classes: Classes = ONE
    threshold: float | None = None

    def truth(self, round_: Round | None) -> Truth:
        """The true masks of a round; ``UserError`` as for ``submissions.truth.find_truth``."""
        test_sets, layout = (round_.test_sets, round_.layout) if round_ else (None, None)
        return find_truth(self.folder, test_sets, layout, self.protocol, self.classes)

    def threshold_in(self, round_: Round | None) -> float | None:
        """The probability above which a pixel is polyp in a round; ``None`` for masks."""
        layout = round_.layout.threshold if round_ else None
        return layout if self.threshold is None else self.threshold

    def score(self, package: Path, round_: Round | None, truth: Truth) -> PackageScore:
        """The score of a package; errors as for ``submissions.scoring.score_package``."""
        return score_package(
            package,
            truth,
            self.protocol,
            layout=round_.layout if round_ else None,
            hausdorff=self.hausdorff,
            threshold=self.threshold,
        )


class Task(NamedTuple):
    """A package to score, and its round."""

    package: Path
    round_: Round | None
    scoring: Scoring


class _KilledError(Exception):
    """A process was killed; ``positions`` are those of the packages that were under way."""

    def __init__(self, positions: list[int]) -> None:
        super().__init__(positions)
        self.positions = positions


def score_tasks(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, PackageScore | str]]:
    """Score packages side by side.

    Where a process is killed, the packages that were under way are scored anew, one at a time; one
    at which the process is killed again is given up. The rest goes on side by side.

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
        except _KilledError as killed:
            for position in killed.positions:
                yield position, _alone(waiting.pop(position))


def _alone(task: Task) -> PackageScore | str:
    try:
        return dict(_run({0: task}, 1))[0]
    except _KilledError:
        why = "the process that scored it was killed; most likely memory ran out."
        return f"{task.package}: {why}"


def _run(tasks: dict[int, Task], processes: int) -> Iterator[tuple[int, PackageScore | str]]:
    # Processes that decode with threads cannot be forked.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=end_with_caller) as pool:
        left = iter(list(tasks.items()))
        under_way: dict[Future[PackageScore | str], int] = {}
        try:
            while True:
                # One more than there are processes, so that none waits while a score is entered.
                for position, task in islice(left, processes + 1 - len(under_way)):
                    under_way[pool.submit(_score, task)] = position
                if not under_way:
                    return
                # What is not taken out here counts as under way: where one future says that a
                # process was killed, those that were done with it are scored anew.
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    yield under_way.pop(future), outcome
        except BrokenProcessPool as error:
            raise _KilledError(sorted(under_way.values())) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def end_with_caller() -> None:
    """End this process with the one that started it, also where that is killed.

    A pool's processes would wait for its next task for ever: each holds the queue open for all.
    """
    caller = parent_process()

    def end() -> None:
        if caller:
            caller.join()
            os._exit(1)

    Thread(target=end, daemon=True).start()


def _score(task: Task) -> PackageScore | str:
    """The score of a package, or what is wrong with it as text: a fault's class is not pickled."""
    package, round_, scoring = task
    try:
        return scoring.score(package, round_, _kept_truth(scoring, round_))
    except UserError as error:
        return error.format_message()


_kept_truth = lru_cache(Scoring.truth)  # in a process of one call's own: no mask is corrected
