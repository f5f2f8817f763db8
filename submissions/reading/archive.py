"""Open a package, a zip or a folder that may be hostile, and read its files in bounded memory.

Nothing is extracted to disk. The zip's directory is checked before any member is read; a member is
read into memory whole, up to a limit.
"""

from __future__ import annotations

import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from metrics.utils.errors import UserError
from metrics.utils.names import comparable, is_reserved, normal
from submissions.reading.findings import Finding, found
from submissions.reading.zip_end import EndError, read_end
from submissions.reading.zip_members import ENCRYPTED, locate, reader

UNREADABLE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError,
    RuntimeError, ValueError,
)  # fmt: skip
"""Exceptions that reading a damaged archive may raise."""

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DEEPEST: Final = 20
_LONGEST: Final = 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that is read of a package; real packages stay far below.

    Attributes:
        archive_bytes: Size of the zip itself.
        entries: Files and folders in it.
        directory_bytes: Size of the zip's directory.
        total_bytes: Sum of the unpacked sizes.
        entry_bytes: Unpacked size of one file.
        ratio: Unpacked to packed size of a file larger than ``ratio_from_bytes``.
        ratio_from_bytes: The ratio of smaller files is not limited: an empty uncompressed mask
            deflates a thousandfold.
        pixels: Of one image whose frame's size is not known.
        work: Of all images whose frames' sizes are not known, in decoded samples: channels times
            pixels, three times that for a PNG.
    """

    archive_bytes: int = 1 << 31
    entries: int = 10_000
    directory_bytes: int = 8 << 20
    total_bytes: int = 3 << 29
    entry_bytes: int = 32 << 20
    ratio: int = 200
    ratio_from_bytes: int = 8 << 20
    pixels: int = 3 << 22
    work: int = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An opened package.

    Attributes:
        files: Names of the regular files with their unpacked sizes in bytes, in stored order.
        folders: Names of the folders that have an entry of their own.
        findings: The faults of the archive itself.
        read: Gives a file's bytes by its name; thread-safe.
    """

    files: dict[str, int] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    read: Callable[[str], bytes]


@contextmanager
def open_archive(path: Path, root: str, limits: Limits) -> Iterator[Archive]:
    """Open a zip or an unpacked folder.

    Args:
        path: The zip, the folder that holds ``root``, or the folder ``root`` itself.
        root: The folder expected at the top of the package.
        limits: How much is read at most.

    Yields:
        Archive: Its files and faults; without files where it cannot be opened.

    Raises:
        UserError: There is no such file or folder, or it may not be read.
    """
    try:
        if path.is_dir():
            yield _folder(path, root, limits)
            return
        refuse_special(path, limits.archive_bytes)
        with path.open("rb") as stream:
            yield _zip(stream, limits)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). Expected a package (a zip) or "
            "an unpacked folder."
        ) from error


def named(path: Path) -> Path:
    """The path, or the folder's own where it is ``.`` or ends in ``..`` and so tells no name."""
    return path.resolve() if path.name in {"", ".."} else path


def refuse_special(path: Path, most_bytes: int = Limits.archive_bytes) -> None:
    """Refuse pipes and devices, whose reading may never end, and files that are too large.

    Raises:
        UserError: It is one of these.
        OSError: It does not exist or cannot be accessed.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError(
            f"{path}: expected a package (a zip) or an unpacked folder, but it is a pipe, a "
            "device or a socket. Save it as a file first."
        )
    if status.st_size > most_bytes:
        raise UserError(
            f"{path}: expected a package of at most {most_bytes:,} bytes, but it has "
            f"{status.st_size:,}. Such a file is not read."
        )


def name_fault(name: str) -> str | None:
    """Why a name could lead outside the package or mislead a reader; ``None`` for a good name."""
    if len(name) > _LONGEST or name.count("/") > _DEEPEST:
        return f"a name of more than {_LONGEST:,} characters or {_DEEPEST} folders"
    if "\\" in name:
        return "a backslash in its name; expected '/' between folders"
    if name.startswith("/") or name[1:2] == ":":
        return "an absolute path; expected one relative to the package"
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "'..' in its name: it points outside the package"
    if "." in parts or "" in parts:
        return "an empty part or '.' in its name"
    if not name.isprintable() or any(unicodedata.category(sign) == "Cf" for sign in name):
        return "control characters in its name"
    if any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return "a name longer than 255 bytes"
    if any(map(is_reserved, parts)):
        return "a name that Windows reserves for a device"
    return None


def _closed(finding: Finding) -> Archive:
    return Archive(findings=(finding,), read=lambda _: b"")


def _zip(stream: BinaryIO, limits: Limits) -> Archive:
    try:
        entries, directory_bytes = read_end(stream)
    except EndError as error:
        return _closed(found("archive", "", f"{error}: expected one zip that holds the package"))
    if entries > limits.entries or directory_bytes > limits.directory_bytes:
        message = (
            f"{entries:,} entries in a directory of {directory_bytes:,} bytes; at most "
            f"{limits.entries:,} entries and {limits.directory_bytes:,} bytes are read"
        )
        return _closed(found("bomb", "", message))
    try:
        opened = zipfile.ZipFile(stream)
    except UNREADABLE as error:
        return _closed(found("archive", "", f"a zip that cannot be opened ({error})"))
    infos = opened.infolist()
    findings = list(_directory_faults(infos, entries, limits))
    starts, contradictions = locate(stream, infos, opened.start_dir)
    findings += contradictions
    # Names with a fault are left out from here on: even splitting them can cost gigabytes.
    named = {i.orig_filename: i for i in infos if name_fault(i.orig_filename) is None}
    findings += repeated([i.orig_filename for i in infos if i.orig_filename in named])
    unpack = reader(stream, starts, limits.entry_bytes)
    return Archive(
        files={
            name: info.file_size
            for name, info in named.items()
            if not name.endswith("/") and not info.flag_bits & ENCRYPTED
        },
        folders=tuple(name for name in named if name.endswith("/")),
        findings=tuple(findings),
        read=lambda name: unpack(named[name]),
    )


def _directory_faults(
    infos: list[zipfile.ZipInfo], entries: int, limits: Limits
) -> Iterator[Finding]:
    for info in infos:
        yield from _member_faults(info, limits)
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        most = f"at most {limits.total_bytes:,} are read"
        yield found("bomb", "", f"unpacks to {total:,} bytes in all; {most}")
    if len(infos) > limits.entries:
        yield found("bomb", "", f"{len(infos):,} entries; at most {limits.entries:,} are read")
    elif len(infos) != entries:
        yield found("archive", "", f"{len(infos):,} entries, but its end says {entries:,}")


def _member_faults(info: zipfile.ZipInfo, limits: Limits) -> Iterator[Finding]:
    name = info.orig_filename
    reason = name_fault(name)
    if reason is not None:
        yield found("name", name, reason)
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in {0, stat.S_IFREG} and not (mode == stat.S_IFDIR and name.endswith("/")):
        what = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder by its mode alone"}
        yield found("link", name, f"{what.get(mode, 'a special file')}; expected a regular file")
    if name.endswith("/") and info.file_size:
        yield found("archive", name, f"a folder that holds {info.file_size:,} bytes itself")
    if info.flag_bits & ENCRYPTED:
        yield found("encrypted", name, "encrypted; make the zip without a password")
    if info.compress_type not in _METHODS:
        yield found("archive", name, "packed by a method that is not read; use store or deflate")
    if info.volume:
        yield found("archive", name, f"in part {info.volume} of a zip of several parts")
    yield from _bulk_faults(name, info.file_size, info.compress_size, limits)


def _bulk_faults(name: str, unpacked: int, packed: int, limits: Limits) -> Iterator[Finding]:
    if unpacked > limits.entry_bytes:
        most = f"a mask has at most {limits.entry_bytes:,}"
        yield found("bomb", name, f"unpacks to {unpacked:,} bytes; {most}")
    elif unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * packed:
        ratio = unpacked // max(packed, 1)
        most = f"at most {limits.ratio} times is read"
        yield found("bomb", name, f"unpacks to {ratio:,} times its packed size; {most}")
    if packed > 2 * unpacked + _LONGEST:
        yield found("archive", name, f"{packed:,} bytes that unpack to {unpacked:,}")


def repeated(names: list[str]) -> Iterator[Finding]:
    """Findings for names that some file system takes for the same."""
    for name, times in Counter(names).items():
        if times > 1:
            yield found("duplicate", name, f"stands {times} times in the archive")
    alike = Counter(map(comparable, set(names)))
    for name in sorted(set(names)):
        if alike[comparable(name)] > 1:
            yield found("duplicate", name, "differs from another entry only by case or accents")
    files = {name for name in names if not name.endswith("/")}
    folders = {name.removesuffix("/") for name in names if name.endswith("/")}
    folders |= {str(parent) for name in files for parent in PurePosixPath(name).parents}
    for name in sorted(files & folders):
        yield found("duplicate", name, "a file and a folder at once")


def _folder(path: Path, root: str, limits: Limits) -> Archive:
    path = named(path)
    top = path.parent if normal(path.name) == root else path
    files: dict[str, int] = {}
    folders: list[str] = []
    findings: list[Finding] = []
    pending = [path]
    while pending and len(files) + len(folders) <= limits.entries:
        with os.scandir(pending.pop()) as entries:
            # A folder of millions is listed no further than is read; sorted for a fixed order.
            some = sorted(islice(entries, limits.entries + 1), key=lambda entry: entry.name)
        for entry in some:
            name = Path(entry.path).relative_to(top).as_posix()
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{name}/")
                pending.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                files[name] = entry.stat().st_size
            else:
                findings.append(found("link", name, "a link or special file; expected a file"))
    findings += [f for name, size in files.items() for f in _bulk_faults(name, size, size, limits)]
    too_many = pending or len(files) + len(folders) > limits.entries
    if too_many or sum(files.values()) > limits.total_bytes:
        most = f"{limits.entries:,} files or {limits.total_bytes:,} bytes"
        findings.append(found("bomb", "", f"more than {most}"))
    reasons = {name: name_fault(name) for name in files}
    findings += [found("name", name, why) for name, why in reasons.items() if why is not None]
    findings += repeated([*files, *folders])

    def read(name: str) -> bytes:
        with (top / name).open("rb") as stream:
            return stream.read(limits.entry_bytes + 1)

    return Archive(files=files, folders=tuple(folders), findings=tuple(findings), read=read)
