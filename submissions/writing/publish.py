"""Give a package its final name: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metrics.utils.files import free_name, publish, unwritable, write_json


@dataclass(frozen=True, kw_only=True)
class SealedPackage:
    """A package that is whole and checked, but still under a temporary name.

    Attributes:
        path: The final name.
        temporary: The temporary name.
        sha256: Of the zip, in hexadecimal.
        manifest: The content of the JSON file beside the zip.
        notes: Remarks on the package that are not faults.
    """

    path: Path
    temporary: Path
    sha256: str
    manifest: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def with_free_name(self) -> SealedPackage:
        """The same package under the first name that is free."""
        path = free_name(self.path)
        return replace(self, path=path, manifest={**self.manifest, "package": path.name})

    def publish(self) -> None:
        """Give manifest and zip their final names; the zip last: once it is there, both are.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            write_json(manifest_path(self.path), self.manifest, ensure_ascii=False)
            publish(self.temporary, self.path)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error


def manifest_path(package: Path) -> Path:
    """The manifest that lies beside a package."""
    return package.with_suffix(".json")
