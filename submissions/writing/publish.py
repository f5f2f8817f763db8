"""From a partial file to a package under its final name: whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from metrics.utils.errors import UserError
from metrics.utils.locks import HAS_LOCKS, try_lock

_PARTIAL: Final = ".partial"
MIN_AGE_S: Final = 60.0
MAX_AGE_S: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class SealedPackage:
    """A package that is whole and checked, but not yet under its final name.

    Attributes:
        path: The final name.
        temporary: Where it lies now.
        sha256: Of the zip, in hexadecimal.
        manifest: What the JSON file beside the zip says.
    """

    path: Path
    temporary: Path
    sha256: str
    manifest: Mapping[str, Any]

    @property
    def manifest_path(self) -> Path:
        """The JSON file beside the zip."""
        return manifest_path(self.path)

    def with_free_name(self) -> SealedPackage:
        """The same package under the next name that nothing has: ``p.zip``, ``p-2.zip``, ..."""
        path, count = self.path, 1
        while path.exists():
            count += 1
            path = self.path.with_stem(f"{self.path.stem}-{count}")
        return replace(self, path=path, manifest={**self.manifest, "package": path.name})

    def publish(self) -> None:
        """Give zip and manifest their final names; the zip last, so that it is what counts.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            draft = self.temporary.with_name(f"{self.temporary.name}.json")
            with draft.open("w", encoding="utf-8") as stream:
                json.dump(self.manifest, stream, indent=2, ensure_ascii=False)
                stream.write("\n")
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.manifest_path)
            self.temporary.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error


def manifest_path(package: Path) -> Path:
    """The manifest that lies beside a package."""
    return package.with_suffix(".json")


def remove_stale_partials(folder: Path) -> list[Path]:
    """Remove the partial packages of processes that were killed, and return their names.

    A partial file is locked by the process that writes it, and the system drops that lock with
    the process. Without locks (Windows), only files more than a day old are removed.
    """
    removed = []
    for path in sorted(folder.glob(f".*{_PARTIAL}*")):
        try:
            age_s = time.time() - path.stat().st_mtime
            with path.open("rb") as stream:
                if age_s > MIN_AGE_S and _is_abandoned(stream, age_s):
                    path.unlink()
                    removed.append(path)
        except OSError:
            continue
    return removed


def create_locked(path: Path) -> tuple[IO[bytes], Path]:
    """A new partial file beside ``path``, open and locked by this process."""
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{_PARTIAL}")
    stream = temporary.open("x+b")
    with suppress(OSError):  # without locks, remove_stale_partials leaves the file alone
        try_lock(stream)
    return stream, temporary


def release_before_rename(stream: IO[bytes]) -> None:
    """Close the partial file where an open file cannot be renamed (Windows)."""
    if sys.platform == "win32":
        stream.close()


def unwritable(folder: Path, error: OSError) -> UserError:
    """The message for a folder that cannot be written."""
    return UserError(
        f"{folder}: the package cannot be written ({error.strerror or error}). Make room and "
        "rights there, or give another folder."
    )


def _is_abandoned(stream: IO[bytes], age_s: float) -> bool:
    return try_lock(stream) if HAS_LOCKS else age_s > MAX_AGE_S


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
