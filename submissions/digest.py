"""What tells packages apart: the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from metrics.utils.errors import UserError
from metrics.utils.files import file_sha256
from submissions.reading.archive import refuse_special


def package_sha256(package: Path) -> str:
    """SHA-256 of a zip, or of all names and bytes in a folder, in hexadecimal.

    Raises:
        UserError: It cannot be read.
    """
    try:
        if package.is_dir():
            return _of_folder(package)
        refuse_special(package)
        return file_sha256(package)
    except OSError as error:
        raise UserError(f"{package}: cannot be read ({error.strerror or error}).") from error


def _of_folder(package: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and not path.is_symlink():
            whole.update(os.fsencode(path.relative_to(package).as_posix()) + b"\0")
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
