"""What the user sees: results on stdout, notes and progress on stderr, all in one style.

Results (tables, JSON) go to stdout so that they can be piped; everything said about the work goes
to stderr. On a terminal there is colour, unless ``NO_COLOR`` is set, and progress is a bar; in a
pipe it is a plain line now and then. rich is loaded with the first message, not before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Item = TypeVar("Item")
Level = Literal["note", "success", "warning", "error"]

_STYLES: Final[dict[Level, str]] = {
    "note": "",
    "success": "green",
    "warning": "yellow",
    "error": "bold red",
}
_SECONDS_BETWEEN_LINES: Final = 15.0


@dataclass
class _State:
    quiet: bool = False
    json_logs: bool = False
    live: Console | None = field(default=None)


_state = _State()


def configure(*, quiet: bool = False, json_logs: bool = False) -> None:
    """Set the manner of the whole process.

    Args:
        quiet: Leave out notes, successes and progress; warnings, errors and results stay.
        json_logs: Write every message as one JSON object a line instead.
    """
    _state.quiet, _state.json_logs = quiet, json_logs


def stdout() -> Console:
    """The console of results."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def stderr() -> Console:
    """The console of messages; the one that a running bar draws on, if there is one."""
    from rich.console import Console

    return _state.live or Console(stderr=True, highlight=False, markup=False, emoji=False)


def show(result: RenderableType) -> None:
    """Print a result; text is not wrapped, so that no pipe cuts a line."""
    stdout().print(result, soft_wrap=isinstance(result, str))


def note(message: str) -> None:
    """Say what happens; silent under ``--quiet``."""
    _say("note", message)


def success(message: str) -> None:
    """Say that something was done; silent under ``--quiet``."""
    _say("success", message)


def warn(message: str) -> None:
    """Say what the user should know, though the work goes on."""
    _say("warning", message)


def fail(message: str) -> None:
    """Say why a command ends without its result; raise a click exception to get here."""
    _say("error", message)


class Bar:
    """How far one piece of work is.

    ``bar.update`` has the shape that the rooms report progress in: ``(done, total)``.

    Args:
        description: What is done, such as 'Decoding frames'.
        total: How many steps there are; ``None`` while that is not known.
        draw: Called after every change with the bar.
        clock: Seconds that only grow.

    Attributes:
        description: What is done.
        total: How many steps there are, or ``None``.
        done: Steps behind us.
        detail: Figures beside the bar, such as 'loss 0.231'.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        draw: Callable[[Bar], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.description, self.total, self.done, self.detail = description, total, 0, ""
        self._draw, self._clock, self._start = draw, clock, clock()
        self._before = 0

    def update(
        self,
        done: int | None = None,
        total: int | None = None,
        *,
        detail: str | None = None,
        description: str | None = None,
    ) -> None:
        """Set what is given and leave the rest as it is."""
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.detail = self.detail if detail is None else detail
        self.description = self.description if description is None else description
        self._draw(self)

    def begin(self, done: int) -> None:
        """Steps that were done before this bar was there, which say nothing of its pace."""
        self._before = self.done = done

    def advance(self, steps: int = 1) -> None:
        """Count further steps as done."""
        self.update(self.done + steps)

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; ``None`` before the first step or without a total."""
        done = self.done - self._before
        if not done or self.total is None:
            return None
        return (self._clock() - self._start) / done * max(0, self.total - self.done)

    def __str__(self) -> str:
        """The state on one line."""
        count = str(self.done) if self.total is None else f"{self.done} of {self.total}"
        left = self.seconds_left
        parts = [count, f"{duration(left)} left" if left else "", self.detail]
        return f"{self.description}: {', '.join(part for part in parts if part)}"


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show long work: a bar with count and time left, or sparse lines where nobody looks.

    Work within work: the outer bar stays, and the inner one says a line now and then.

    Args:
        description: What is done, such as 'Decoding frames'.
        total: How many steps there are, if known already.

    Yields:
        Bar: Tell it with ``update(done, total)`` or ``advance()``.
    """
    if _state.quiet:
        yield Bar(description, total, lambda _bar: None)
    elif _state.json_logs or _state.live is not None or not stderr().is_terminal:
        yield Bar(description, total, sparse_lines())
    else:
        with _live_bar(description, total) as bar:
            yield bar


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Go through ``items`` under a bar; ``total`` is their length where they have one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(description, total) as bar:
        for item in items:
            yield item
            bar.advance()


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss``, or ``m:ss`` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(level: Level, message: str) -> None:
    if _state.quiet and level in ("note", "success"):
        return
    if _state.json_logs:
        _write_json(level, message=message)
        return
    from rich.text import Text

    text = Text(f"{level}: ", style=_STYLES[level]) if level in ("warning", "error") else Text()
    text.append(message, style=_STYLES[level] if level == "success" else "")
    stderr().print(text, soft_wrap=True)


def _write_json(level: str, **values: object) -> None:
    line = json.dumps({"time": time.time(), "level": level, **values}, ensure_ascii=False)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def sparse_lines(
    interval: float = _SECONDS_BETWEEN_LINES, clock: Callable[[], float] = time.monotonic
) -> Callable[[Bar], None]:
    """A way to draw a bar: a line at most every ``interval`` seconds, so short work says nothing.

    Args:
        interval: Seconds between two lines.
        clock: Seconds that only grow.
    """
    last = clock()

    def draw(bar: Bar) -> None:
        nonlocal last
        if clock() - last < interval:
            return
        last = clock()
        if _state.json_logs:
            left = bar.seconds_left
            values = {"done": bar.done, "total": bar.total, "seconds_left": left}
            _write_json("progress", message=bar.description, detail=bar.detail, **values)
        else:
            note(str(bar))

    return draw


@contextmanager
def _live_bar(description: str, total: int | None) -> Iterator[Bar]:
    console = stderr()
    # A result that is piped must not end up on the terminal with the bar.
    with _columns(console, redirect_stdout=sys.stdout.isatty()) as bars:
        task: TaskID = bars.add_task(description, total=total, detail="")

        def draw(bar: Bar) -> None:
            bars.update(
                task,
                completed=bar.done,
                total=bar.total,
                description=bar.description,
                detail=bar.detail,
            )

        _state.live = console
        try:
            yield Bar(description, total, draw)
        finally:
            _state.live = None


def _columns(console: Console, *, redirect_stdout: bool) -> RichProgress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left", style="dim"),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        redirect_stdout=redirect_stdout,
        transient=True,
    )
