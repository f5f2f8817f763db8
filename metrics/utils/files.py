"""Atomic writes: a file appears under its name when it is whole, or not at all.

Every file is first written under a hidden name in the same folder, ``.NAME.HEX.partial``, flushed
to the disk, and renamed. :func:`atomic_path` does all of it in one block. A writer that works over
a longer time, or checks the file before it counts (a submission's zip), takes the steps one by one:
:func:`create_partial`, then :func:`publish`; and :func:`remove_stale_partials` clears away what
killed writers left behind.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import click

from metrics.utils.errors import UserError

PARTIAL: Final = ".partial"
"""End of the name of a file that is still being written."""

_FOLDER: Final = ".harness-"

MIN_AGE_S: Final = 10.0
"""A younger partial file is never removed: its writer may not have locked it yet."""

MAX_AGE_S: Final = 86_400.0
"""Without locks (Windows), an older partial file counts as left behind."""

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota or a file system that holds no more."""


class UnwritableError(UserError):
    """A folder has no room or no rights; what was written there before is whole."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path, of an empty file, that takes the place of ``path`` if the block ends well.

    The content is flushed to the disk before the rename, and the folder after it, so neither a
    kill nor a power cut leaves half a file under the final name. If the block raises, the
    temporary file is removed and what ``path`` held before stays. A missing folder is made.

    Raises:
        UnwritableError: If the folder cannot be written, or the disk is full before the block ends.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "notes.txt")
        ...     with atomic_path(path) as temporary:
        ...         _ = temporary.write_text("whole")
        ...         path.exists()
        ...     path.read_text()
        False
        'whole'
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream, temporary = create_partial(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    try:
        if sys.platform == "win32":  # where an open file can be neither replaced nor renamed
            stream.close()
        yield temporary
        publish(temporary, path)
    except OSError as error:
        if error.errno in FULL:
            raise unwritable(path.parent, error) from error
        raise
    finally:
        stream.close()
        temporary.unlink(missing_ok=True)


def write_json(path: Path, values: Any, *, ensure_ascii: bool = True) -> None:
    """Write what ``json.dumps`` takes as indented JSON, atomically; a missing folder is made.

    Raises:
        UnwritableError: As for :func:`atomic_path`.
    """
    text = json.dumps(values, indent=2, ensure_ascii=ensure_ascii)
    with atomic_path(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def write_small(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all, without waiting for the disk; its folder is made.

    Raises:
        UserError: It cannot be written; what ``path`` held before stays.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Make room and rights there, or give "
            "another place."
        ) from error


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty where it is missing, damaged or holds something else.

    For files that can be done without; ``json.loads`` says what is wrong with the others.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def create_partial(path: Path) -> tuple[IO[bytes], Path]:
    """A new partial file for ``path``, in the same folder, which must exist.

    It is open for writing and reading, and locked until it is closed or the process ends, however
    it ends; that is how :func:`remove_stale_partials` knows a live writer's file.

    Raises:
        OSError: The folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}{PARTIAL}")
    stream = temporary.open("x+b")
    if sys.platform != "win32":  # where a lock keeps other readers of this process out too
        with suppress(OSError):  # without locks, remove_stale_partials leaves the file alone
            _lock(stream.fileno())
    return stream, temporary


def free_name(path: Path) -> Path:
    """The first of ``p.zip``, ``p-2.zip``, ... that does not exist."""
    free, count = path, 1
    while free.exists():
        count += 1
        free = path.with_stem(f"{path.stem}-{count}")
    return free


def publish(temporary: Path, path: Path, *, replace: bool = True) -> None:
    """Flush a partial file to the disk and give it its final name, in the same folder.

    Raises:
        OSError: The disk is full or cannot be written.
        FileExistsError: The name is taken and ``replace`` is false.
    """
    if not replace and path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in a parent that exists; removed, if it is still there, in the end.

    It is locked as a partial file is, and what killed processes left in the parent goes first.

    Raises:
        OSError: The parent cannot be written.
    """
    remove_stale_partials(parent)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, suffix=PARTIAL, dir=parent))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with suppress(OSError):  # Windows opens no folders, and some file systems have no locks
            stack.enter_context(_locked(folder))
        yield folder


def remove_stale_partials(folder: Path) -> list[Path]:
    """Remove partial files and folders of processes that were killed, and return their names.

    What a live writer has is locked, and the system drops that lock with the process. Where there
    are no locks, only what is more than a day old is removed (Windows), or nothing (file systems).
    """
    removed = []
    for path in sorted(folder.glob(f".*{PARTIAL}*")):
        if path.is_dir() and not path.name.startswith(_FOLDER):
            continue  # its writer has another lock
        try:
            age_s = time.time() - path.stat().st_mtime
            if age_s > MIN_AGE_S and _is_abandoned(path, age_s):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)
        except OSError:
            continue
    return removed


def unwritable(folder: Path, error: Exception) -> UnwritableError:
    """The error for a folder that cannot be written, from what a library or the system said.

    It names those options of the running command that give another folder.
    """
    said = getattr(error, "strerror", None) or error
    context = click.get_current_context(silent=True)
    given = {option for one in (context.command.params if context else ()) for option in one.opts}
    options = " or ".join(option for option in ("--workspace", "--out") if option in given)
    return UnwritableError(
        f"cannot write in {folder}: {said}. Give another folder{options and f' with {options}'}, "
        "or make room and rights there."
    )


def _is_abandoned(path: Path, age_s: float) -> bool:
    if sys.platform == "win32":
        return age_s > MAX_AGE_S
    with _locked(path) as is_ours:
        return is_ours


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file or folder; False where another process holds it.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock what is open until it is closed; False where another process holds it.

    Raises:
        OSError: The file system has no locks.
    """
    from filelock import lock_descriptor

    return lock_descriptor(descriptor, blocking=False)


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk; Windows does so only for files open for writing."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            error.filename = str(path)  # which the system does not say
            raise
        finally:
            os.close(descriptor)
