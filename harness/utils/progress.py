"""How far a piece of work is, and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_SECONDS_BETWEEN_SAMPLES: Final = 1.0
_FIRST_ESTIMATE_S: Final = 10.0
_FEWEST_SAMPLES: Final = 4
_KEPT_SAMPLES: Final = 100


@dataclass
class Bar:
    """How far one piece of work is.

    Attributes:
        description: What is done, such as 'Decoding frames'.
        total: How many steps there are, or 100 for percent; ``None`` while that is not known.
        draw: Called after every change with the bar.
        clock: Seconds that only grow.
        done: Steps done.
        detail: Figures beside the bar, such as 'loss 0.231'.
        percent: Whether the steps are percent of the work.
        even: Whether steps take about as long as each other, so that their pace tells the rest.
    """

    description: str
    total: int | None
    draw: Callable[[Bar], None] = lambda _bar: None
    clock: Callable[[], float] = time.monotonic
    done: float = 0
    detail: str = ""
    percent: bool = False
    even: bool = True
    _samples: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=_KEPT_SAMPLES)
    )
    _rounds: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=2))

    def update(
        self, done: float | None = None, total: int | None = None, *, detail: str | None = None
    ) -> None:
        """Set what is given and leave the rest as it is; a callback ``(done, total)``."""
        self.total = self.total if total is None else total
        self.detail = self.detail if detail is None else detail
        if done:
            self.done = done
            self._take_sample()
        self.draw(self)

    def advance(self, steps: int = 1) -> None:
        """Count further steps as done."""
        self.update(self.done + steps)

    def done_before(self, steps: float) -> None:
        """Count steps that were done before an interruption and say nothing of the pace."""
        for noted in (self._samples, self._rounds):
            later = [(seconds, done + steps) for seconds, done in noted]
            noted.clear()
            noted.extend(later)

    def end_round(self) -> None:
        """Say that an epoch or the like is over, which ends with work that is not counted.

        From then on the pace is that of the last whole round and of what came after it.
        """
        if self._samples:
            first = [] if self._rounds else [self._samples[0]]
            self._rounds.extend([*first, (self.clock(), self.done)])

    def _take_sample(self) -> None:
        """Note the time; steps that end together, such as the frames of a batch, count as one."""
        now = self.clock()
        if self._samples and now - self._samples[-1][0] < _SECONDS_BETWEEN_SAMPLES:
            now, _ = self._samples.pop()
        self._samples.append((now, self.done))

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace of the last 100 samples; ``None`` while it means nothing.

        Of work in rounds it is the pace since the round before the last ended. The first step
        does not count, since it holds the warm-up, or steps that were done before an interruption.
        In the ten seconds after it there is no estimate.
        """
        if not self.even or self.total is None or len(self._samples) < _FEWEST_SAMPLES:
            return None
        begun, before = (self._rounds or self._samples)[0]
        now, done = self._samples[-1]
        if now - begun < _FIRST_ESTIMATE_S or done <= before:
            return None
        return (now - begun) / (done - before) * max(0, self.total - self.done)

    def __str__(self) -> str:
        """The state on one line."""
        parts = [self.count, self.time_left, self.detail]
        return f"{self.description}: {', '.join(part for part in parts if part)}"

    @property
    def count(self) -> str:
        """The steps done, such as '3 of 20', '3' or '15%'."""
        done = int(self.done)
        if self.percent:
            return f"{done}%"
        return str(done) if self.total is None else f"{done} of {self.total}"

    @property
    def time_left(self) -> str:
        """The estimate for a reader, such as '1:30 left'; empty where there is none."""
        return f"{duration(self.seconds_left)} left" if self.seconds_left else ""


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss``, or ``m:ss`` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
