"""Write where the user says, without overwriting what the harness did not write.

``.harness-files`` in the folder lists the files that the harness wrote there, with their SHA-256
and that of the file before. A file that is not listed, or was changed since, is the user's own: it
is replaced only with ``--overwrite``, and never if it is one of the files that the command reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from harness.utils.folders import lock
from metrics.utils.errors import Fault, FaultsError
from metrics.utils.files import file_sha256, partial_folder, read_mapping, unwritable, write_json
from metrics.utils.names import counted, few

MANIFEST: Final = ".harness-files"
_NAMED: Final = 5


class Outputs:
    """The files that a command writes in one folder.

    The folder need not exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     outputs = Outputs(Path(folder))
        ...     outputs.check(["a.txt"], overwrite=False)
        ...     with outputs.staged(last="a.txt") as staging:
        ...         _ = (staging / "a.txt").write_text("ours")
        ...     outputs.check(["a.txt"], overwrite=False)
        ...     Path(folder, "a.txt").read_text()
        'ours'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._published: set[str] = set()

    def left(self) -> str:
        """Files of earlier commands beside those just written, named; empty if there are none."""
        names = sorted(self._written().keys() - self._published)
        left = [name for name in names if (self.folder / name).is_file()]
        stay = counted(
            len(left), "file of an earlier command stays", "files of earlier commands stay"
        )
        return f"{stay} in {self.folder}: {few(left, _NAMED)}" if left else ""

    def remove_left(self, pattern: str) -> None:
        """Remove files of earlier commands that match a pattern and are as they were written.

        Raises:
            UnwritableError: If the folder cannot be written.
        """
        written = self._written()
        try:
            for path in self.folder.glob(pattern):
                own = written.get(path.name, "").split()[:1]  # the second may be the user's
                if path.name not in self._published and _sha256(path) in own:
                    path.unlink()
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def check(self, names: Iterable[str], *, overwrite: bool, sources: Iterable[Path] = ()) -> None:
        """Refuse names under which files lie that must not be replaced.

        The names are relative to the folder. ``overwrite`` allows to replace files that the harness
        did not write; ``sources`` are never replaced.

        Raises:
            FaultsError: Files would be replaced; all of them at once.
        """
        read = {_identity(source) for source in sources} - {None}
        written = self._written()
        faults = []
        for name in names:
            path = self.folder / name
            if not os.path.lexists(path):
                continue
            if path.is_dir():
                message = "expected a file or a free name, found a folder"
            elif path.exists() and not path.is_file():  # to read a terminal would wait for ever
                message = "expected a file or a free name, found a device or the like"
            elif _identity(path) in read:
                message = "would be replaced, and it is one of the files to read"
            elif not overwrite and _sha256(path) not in written.get(name, "").split():
                message = "is there already, and the harness did not write it as it is now"
            else:
                continue
            faults.append(Fault(path=str(path), message=message))
        if faults:
            raise FaultsError(
                faults,
                "nothing was written; give another --out, or --overwrite to replace files that are "
                "not to be read",
            )

    @contextmanager
    def staged(self, *, last: str) -> Iterator[Path]:
        """A hidden folder whose files take their places in the folder when the block ends well.

        If the block raises, nothing is written. Earlier files of these names are removed before the
        first new one takes its place, so a killed process never leaves files of two commands that
        look like one's.

        Args:
            last: The file that takes its place last, and is removed first: where it is there, all
                others are.

        Yields:
            Path: Where to write, with the names relative to it.

        Raises:
            UnwritableError: If the folder cannot be written.
        """
        is_new = not self.folder.exists()
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                if is_new:
                    stack.callback(_remove_empty, self.folder)
                staging = stack.enter_context(partial_folder(self.folder))
            except OSError as error:
                raise unwritable(self.folder, error) from error
            yield staging
            self._publish(staging, last)

    def record(self, names: Iterable[str]) -> None:
        """Enter files that the harness has just written in the folder.

        Raises:
            UnwritableError: If the folder cannot be written.
        """
        with self._alone():
            self._enter({name: _sha256(self.folder / name) for name in names})

    def _publish(self, staging: Path, last: str) -> None:
        paths = {
            path.relative_to(staging).as_posix(): path
            for path in staging.rglob("*")
            if path.is_file()
        }
        # The last stands at the end: it is removed first, and comes when all others are there.
        names = sorted(paths, key=lambda name: (name == last, name))
        digests = {name: _sha256(path) for name, path in paths.items()}
        try:
            with self._alone():  # or two commands at once would leave files of both
                # Where this is killed, the next command may replace the earlier files and the new.
                self._enter(
                    {
                        name: f"{digest} {_sha256(self.folder / name)}".rstrip()
                        for name, digest in digests.items()
                    }
                )
                for name in reversed(names):
                    (self.folder / name).unlink(missing_ok=True)
                for name in names:
                    target = self.folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    paths[name].replace(target)
            self._published |= paths.keys()
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _written(self) -> dict[str, str]:
        """Name to one SHA-256 or two; nothing where the list is missing or damaged."""
        return {name: str(value) for name, value in read_mapping(self.folder / MANIFEST).items()}

    def _enter(self, entries: dict[str, str]) -> None:
        write_json(self.folder / MANIFEST, self._written() | entries)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands from putting their files there, where the file system has locks."""
        with ExitStack() as stack:
            lock(stack, self.folder / MANIFEST, wait=True)
            yield


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds what was written
        folder.rmdir()


def _sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; empty where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return ""


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from others under whatever name; ``None`` where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
