"""What C decoders write to standard error about an image that they decode all the same.

libjpeg and libtiff fill in what they cannot decode, and OpenCV passes nothing on but their lines on
descriptor 2. Where that is a file (the command line makes it one), a line that is written while an
image is decoded shows in the file's size, which costs nothing to ask. As many threads decode at
once, the image is then decoded again, alone, to read what is said about it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

_STDERR: Final = 2
_LEFT_OVER: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_DAMAGE: Final = re.compile(r"(Corrupt JPEG data|Premature end of JPEG).*")
_PADDING: Final = 16
"""Fewer bytes than these may stand before the end of a whole JPEG; some cameras pad it."""


class _Gate:
    """Lets many threads through at once, or one alone."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._inside = 0

    @contextmanager
    def among_others(self) -> Iterator[None]:
        with self._free:
            self._inside += 1
        try:
            yield
        finally:
            with self._free:
                self._inside -= 1
                self._free.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._free:
            self._free.wait_for(lambda: not self._inside)
            yield


_gate: Final = _Gate()


def watch(decode: Callable[[], T]) -> tuple[T, str]:
    """Decode an image, and what the decoder says about it; nothing if descriptor 2 is no file."""
    with _gate.among_others():
        before = _written()
        result = decode()
        quiet = _written() == before
    return result, "" if quiet else _said(decode)


def jpeg_damage(said: str) -> str:
    """What is wrong with a JPEG's pixels, of libjpeg's lines; empty where nothing is.

    Example:
        >>> jpeg_damage("Corrupt JPEG data: premature end of data segment")
        'Corrupt JPEG data: premature end of data segment'
        >>> jpeg_damage("Corrupt JPEG data: 2 extraneous bytes before marker 0xd9")
        ''
    """
    for line in said.splitlines():
        left_over = _LEFT_OVER.search(line)
        if left_over and int(left_over[1]) < _PADDING:
            continue
        if found := _DAMAGE.search(line):
            return found[0]
    return ""


def _written() -> int:
    try:
        return os.fstat(_STDERR).st_size
    except OSError:  # it is closed
        return 0


def _said(decode: Callable[[], object]) -> str:
    with _gate.alone(), tempfile.TemporaryFile() as file:
        own = os.dup(_STDERR)
        os.dup2(file.fileno(), _STDERR)
        try:
            decode()
        finally:
            os.dup2(own, _STDERR)
            os.close(own)
        file.seek(0)
        return file.read().decode(errors="replace")
