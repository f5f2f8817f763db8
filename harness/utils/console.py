"""What the user sees: results on stdout, messages and progress on stderr.

Results (tables, JSON) go to stdout so that they can be piped; messages about the work go to
stderr. On a terminal there is colour, unless ``NO_COLOR`` is set, and progress is a bar; in a pipe
it is a line now and then. rich is imported with the first message.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from harness.utils.progress import Bar

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

Item = TypeVar("Item")

NOTE, SUCCESS, WARNING, ERROR = logging.INFO, 25, logging.WARNING, logging.ERROR
_NAMES: Final = {NOTE: "note", SUCCESS: "success", WARNING: "warning", ERROR: "error"}
_STYLES: Final = {NOTE: "", SUCCESS: "green", WARNING: "yellow", ERROR: "bold red"}

_SECONDS_BETWEEN_LINES: Final = 15.0
_SECONDS_BETWEEN_LINES_OF_STEPS: Final = 60.0  # each step says itself that it begins

# Control characters but tab and line feed, marks that turn the direction of text, and the
# surrogates that stand for bytes of a file name that are no UTF-8.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass
class _State:
    json_logs: bool = False
    live: Console | None = None
    whole: Bar | None = None


_state = _State()


class MessageHandler(logging.Handler):
    """Writes log records to stderr, as JSON lines under ``--json-logs``.

    On the root logger it also shows the warnings and errors of libraries, with their names.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        level = max(level for level in _NAMES if level <= max(record.levelno, NOTE))
        message = record.getMessage()
        if record.name != _logger.name:
            message = f"{record.name}: {message}"
        if _state.json_logs:
            _write_json(_NAMES[level], message=message)
            return
        from rich.text import Text

        text = Text()
        if level >= WARNING:
            text.append(f"{_NAMES[level]}: ", style=_STYLES[level])
        text.append(escape(message), style=_STYLES[level] if level == SUCCESS else "")
        stderr().print(text, soft_wrap=True)


logging.addLevelName(SUCCESS, "SUCCESS")
handler: Final = MessageHandler()
_logger: Final = logging.getLogger("harness")
_logger.addHandler(handler)
_logger.propagate = False


class MessageStream(io.TextIOWrapper):
    """A stream that loses what cannot be written: no work ends for want of a place for messages.

    A log may lie on a full disk, and a terminal or the reader of a pipe may be gone.
    """

    def write(self, text: str) -> int:
        """Write what can be written; what cannot is lost."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what can be written."""
        with suppress(OSError):
            super().flush()


def configure(*, quiet: bool = False, json_logs: bool = False) -> None:
    """Set how the whole process shows messages.

    Args:
        quiet: Leave out notes, successes and progress; warnings, errors and results stay.
        json_logs: Write every message as one JSON object a line instead.
    """
    _logger.setLevel(WARNING if quiet else NOTE)
    _state.json_logs = json_logs


configure()


def escape(text: str) -> str:
    r"""Replace what a terminal would obey or cannot show, such as ESC, by ``\u001b`` and the like.

    Names of files and packages come from strangers. The result is also valid inside JSON strings.
    """
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@dataclass(frozen=True)
class _Escaped:
    """A table whose text is escaped when it is printed."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for part in console.render(self.content, options):
            yield part if part.control else Segment(escape(part.text), part.style)


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
    if isinstance(result, str):
        stdout().print(escape(result), soft_wrap=True)
    else:
        stdout().print(_Escaped(result))


def note(message: str) -> None:
    """Say what happens; silent under ``--quiet`` and within :func:`step_of`."""
    if _state.whole is None:
        _logger.log(NOTE, "%s", escape(message))


def success(message: str) -> None:
    """Say that something was done; silent under ``--quiet``."""
    _logger.log(SUCCESS, "%s", escape(message))


def warn(message: str) -> None:
    """Say what the user should know, though the work goes on."""
    _logger.log(WARNING, "%s", escape(message))


def fail(message: str) -> None:
    """Say why a command ends without its result; raise a click exception to get here."""
    _logger.log(ERROR, "%s", escape(message))


@contextmanager
def progress(description: str, total: int | None = None, *, even: bool = True) -> Iterator[Bar]:
    """Show long work: a bar with count and time left, or a line now and then in a pipe.

    Within another bar it is such a line as well.

    Args:
        description: What is done, such as 'Decoding frames'.
        total: How many steps there are, if known already.
        even: As for :class:`Bar`.

    Yields:
        Bar: Tell it with ``update(done, total)`` or ``advance()``.
    """
    if not _logger.isEnabledFor(NOTE):
        yield Bar(description, total)
    elif (whole := _state.whole) is not None:
        yield Bar(description, total, lambda bar: whole.update(detail=str(bar)))
    elif _state.json_logs or _state.live is not None or not stderr().is_terminal:
        interval = _SECONDS_BETWEEN_LINES if even else _SECONDS_BETWEEN_LINES_OF_STEPS
        yield Bar(description, total, occasional_lines(interval), even=even)
    else:
        with _live_bar(description, total) as bar:
            bar.even = even
            yield bar


@contextmanager
def step_of(bar: Bar) -> Iterator[None]:
    """Work that is one step of ``bar``: it makes no notes, and its progress is the bar's detail."""
    _state.whole = bar
    try:
        yield
    finally:
        _state.whole = None
    bar.update(bar.done + 1, detail="")


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Go through ``items`` under a bar; ``total`` is their length where they have one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(description, total) as bar:
        for item in items:
            yield item
            bar.advance()


def _write_json(level: str, **values: object) -> None:
    line = json.dumps({"time": time.time(), "level": level, **values}, ensure_ascii=False)
    sys.stderr.write(escape(line) + "\n")
    sys.stderr.flush()


def occasional_lines(
    interval: float = _SECONDS_BETWEEN_LINES, clock: Callable[[], float] = time.monotonic
) -> Callable[[Bar], None]:
    """Draws a bar as a line at most every ``interval`` seconds, so short work says nothing."""
    last = clock()

    def draw(bar: Bar) -> None:
        nonlocal last
        if clock() - last < interval:
            return
        last = clock()
        if _state.json_logs:
            figures = {"done": bar.done, "total": bar.total, "seconds_left": bar.seconds_left}
            _write_json("progress", message=bar.description, detail=bar.detail, **figures)
        else:
            _logger.log(NOTE, "%s", escape(str(bar)))

    return draw


@contextmanager
def _live_bar(description: str, total: int | None) -> Iterator[Bar]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = stderr()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        redirect_stdout=sys.stdout.isatty(),  # a piped result must not end up on the terminal
        transient=True,
    ) as bars:
        task = bars.add_task(escape(description), total=total, count="", left="", detail="")

        def draw(bar: Bar) -> None:
            total, left = bar.total, bar.time_left
            bars.update(
                task, completed=bar.done, total=total, count=bar.count, left=left, detail=bar.detail
            )

        _state.live = console
        try:
            yield Bar(description, total, draw)
        finally:
            _state.live = None
