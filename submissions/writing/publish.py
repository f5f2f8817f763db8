"""From a partial file to a package under its final name: whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from metrics.utils.errors import UserError
from metrics.utils.files import publish, write_json


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
            write_json(self.manifest_path, self.manifest, ensure_ascii=False)
            publish(self.temporary, self.path)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error


def manifest_path(package: Path) -> Path:
    """The manifest that lies beside a package."""
    return package.with_suffix(".json")


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
