"""Replace a folder as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

from metrics.utils.errors import UserError
from metrics.utils.files import FULL, unwritable

_PARTIAL: Final = ".partial"
_RANDOM: Final = "[!.]" * 8
"""What stands in between; with a dot it would be of a folder whose name begins alike."""


@contextmanager
def replace_folder(final: Path, *, wait: bool = False) -> Iterator[Path]:
    """A new, empty folder that takes the place of ``final`` when the block ends well.

    The files of a folder so belong together: if the block raises, or the process is killed, what
    ``final`` held before stays, and never a mixture. One process at a time replaces a folder, and
    others wait for it or are refused; what killed ones left is removed by the next.

    Yields:
        Path: The new folder, a hidden one beside ``final``.

    Raises:
        UserError: Without ``wait``, if another process is replacing the folder.
        UnwritableError: If its parent cannot be written, or the disk is full before the block ends.
    """
    with ExitStack() as stack:
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            if lock(stack, final, wait=wait):
                for left in final.parent.glob(f".{escape(final.name)}.{_RANDOM}{_PARTIAL}"):
                    shutil.rmtree(left, ignore_errors=True)
            new, old = (_hidden(stack, final) for _ in range(2))
        except OSError as error:
            raise unwritable(final.parent, error) from error
        try:
            yield new
            _exchange(new, final, old / final.name)
        except OSError as error:
            if error.errno in FULL:
                raise unwritable(final.parent, error) from error
            raise


def _hidden(stack: ExitStack, final: Path) -> Path:
    """A new folder beside the final one, to the end of the stack.

    Unlike mkdtemp's it has the rights of any folder made there: by the umask, and of a group that
    shares the parent (setgid).
    """
    folder = final.with_name(f".{final.name}.{os.urandom(4).hex()}{_PARTIAL}")
    folder.mkdir()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _exchange(new: Path, final: Path, kept: Path) -> None:
    """Give the new folder the name of the final one, which is kept until that is done.

    A folder cannot be renamed onto one that holds files. A process that is killed in between leaves
    nothing under the name, which is not a mixture either.
    """
    try:
        if final.exists():
            final.rename(kept)
        new.rename(final)
    except BaseException:
        if kept.exists() and not final.exists():
            kept.rename(final)
        raise


def lock(stack: ExitStack, path: Path, *, wait: bool) -> bool:
    """Lock a name to the end of the stack; False where the file system has no locks.

    Raises:
        UserError: Without ``wait``, if another process holds it.
    """
    from filelock import FileLock, Timeout

    file = path.with_name(f".{path.name}.lock")
    try:
        stack.enter_context(FileLock(file, fallback_to_soft=False).acquire(blocking=wait))
    except Timeout as error:
        raise UserError(
            f"another process is writing {path}; wait for its end, or stop it with Ctrl-C first"
        ) from error
    except OSError:
        return False
    stack.callback(_remove, file)  # while it is held: who waits for it then makes a new one
    return True


def _remove(path: Path) -> None:
    with suppress(OSError):  # Windows removes no open file; filelock does it there
        path.unlink()


def copy_folder(source: Path, target: Path, *, leave_out: Sequence[str]) -> None:
    """Copy a folder but for files and folders of some patterns; the target may be there.

    Raises:
        UserError: A file cannot be read or written.
    """

    def copy(file: str, to: str) -> None:
        try:
            shutil.copy2(file, to)
        except OSError as error:  # copytree would gather one for each file
            raise UserError(
                f"cannot copy {file} to {target.parent}: {error.strerror or error}. Make room and "
                "rights there, or give another folder."
            ) from error

    hidden = shutil.ignore_patterns(*leave_out)
    shutil.copytree(source, target, ignore=hidden, copy_function=copy, dirs_exist_ok=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links.

    Raises:
        OSError: The target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
