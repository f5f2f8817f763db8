"""Ctrl-C, SIGTERM and SIGHUP end a run at a safe point, not in the middle of a step."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Self

import click

_ONE_REQUEST_S: Final = 3.0
"""Signals so soon after the first are the same request: ``timeout``, for one, sends its signal to
the process and to its whole group."""


def stopping() -> list[int]:
    """The signals that ask to stop, but for those that are ignored, as under ``nohup``."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows lacks one
    return [number for number in found if signal.getsignal(number) != signal.SIG_IGN]


class Interrupted(click.ClickException):
    """A run was stopped by a signal, after it had written what it had.

    Args:
        message: What was kept and the command that goes on.
        number: The signal's number; the exit status is 128 more, as a shell expects.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number  # type: ignore[misc]  # click declares it per class


class StoppedWaiting(BaseException):
    """A signal came within :meth:`StopRequest.at_once`; no fault, so no ``except`` takes it."""


class StopRequest:
    """Notes what asks to stop while it is active; a second one, seconds later, ends it at once.

    Attributes:
        number: The signal that came, or 0.
    """

    def __init__(self) -> None:
        self.number = 0
        self._came = 0.0
        self._owner = os.getpid()
        self._is_waiting = False
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        for number in stopping():
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_details: object) -> None:
        """Restore the handlers that were there before."""
        for number, handler in list(self._before.items()):  # a signal may add one
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a forked worker; its parent ends it
            return
        if self.number:
            if time.monotonic() - self._came > _ONE_REQUEST_S:
                self._end_at_once(number, frame)
            return
        self.number, self._came = number, time.monotonic()
        if hasattr(signal, "SIGCHLD"):
            # torch's handler takes for a fault that a worker got the same signal and ended. Under
            # SIG_DFL Python would complain of the end of one that it has not handled yet.
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        if self._is_waiting:
            raise StoppedWaiting

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        if not callable(before):
            raise KeyboardInterrupt
        before(number, frame)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that waits and changes nothing, so that a signal may end it anywhere.

        Raises:
            StoppedWaiting: A signal comes, or came before.
        """
        self._is_waiting = True
        try:
            if self.number:
                raise StoppedWaiting
            yield
        finally:
            self._is_waiting = False


@contextmanager
def default_signals() -> Iterator[None]:
    """What asks to stop ends the process at once, even inside a call that runs no Python."""
    before = {n: signal.signal(n, signal.SIG_DFL) for n in stopping()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
