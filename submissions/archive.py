"""The files of a package, read in bounded memory from a zip or a folder that may be hostile.

Nothing is ever extracted. The archive's directory is judged before any member is read; a member
is read into memory whole, up to a limit.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

from metrics.errors import UserError
from submissions.zipend import EndError, read_end

Kind = Literal[
    "archive", "name", "link", "encrypted", "bomb", "duplicate", "layout", "missing", "extra",
    "unreadable", "size", "values", "timing",
]  # fmt: skip
"""What sort of fault it is; ``validate`` explains each."""

HOSTILE: Final[frozenset[Kind]] = frozenset({"archive", "name", "link", "bomb"})
"""Faults after which no member is read."""

UNREADABLE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError,
    RuntimeError, NotImplementedError, ValueError,
)  # fmt: skip
"""What reading a damaged archive may raise."""

_LOCAL_HEADER_BYTES: Final = 30
_ENCRYPTED: Final = 0x1
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a package is read at most; a real package stays far below.

    Attributes:
        entries: Files and folders in it.
        directory_bytes: Size of the zip's directory.
        total_bytes: Sum of the unpacked sizes.
        entry_bytes: Unpacked size of one file.
        ratio: Unpacked to packed size of one file, where it is larger than ``ratio_from_bytes``.
        ratio_from_bytes: Smaller files may be packed as well as they like: an empty uncompressed
            mask deflates a thousandfold.
        pixels: Of one image whose right size is not known.
        work: Of all images whose right size is not known, in decoded samples: channels times
            pixels, and twice that for a PNG.
    """

    entries: int = 20_000
    directory_bytes: int = 8 << 20
    total_bytes: int = 3 << 29
    entry_bytes: int = 32 << 20
    ratio: int = 200
    ratio_from_bytes: int = 8 << 20
    pixels: int = 3 << 22
    work: int = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault with its kind, so that a caller may weigh it."""

    kind: Kind
    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An opened package.

    Attributes:
        files: Names of the regular files with their unpacked sizes in bytes, in stored order.
        folders: Names of the folders that are entries of their own.
        findings: What is wrong with the archive itself.
        read: A file's bytes by its name; safe to call from several threads.
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
        Archive: Its files, and what is wrong with it; without files where it cannot be opened.

    Raises:
        UserError: There is no such file or folder, or it may not be read.
    """
    if path.is_dir():
        yield _folder(path, root, limits)
        return
    try:
        with path.open("rb") as stream:
            finding = _end_fault(stream, limits)
            if finding is not None:
                yield _closed(finding)
                return
            try:
                opened = zipfile.ZipFile(stream)
            except UNREADABLE as error:
                yield _closed(_fault("archive", "", f"a zip that cannot be opened ({error})"))
                return
            with opened:
                yield _zip(opened, limits)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). Expected a package (a zip) or "
            "an unpacked folder."
        ) from error


def name_fault(name: str) -> str | None:
    """Why a name could lead outside the package or deceive a reader, or ``None``."""
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
    return None


def shown(name: str) -> str:
    """A name as it may be printed: control characters escaped, and not endless."""
    text = name if name.isprintable() else ascii(name)[1:-1]
    return text if len(text) <= 160 else f"{text[:150]}... ({len(text)} characters)"


def _fault(kind: Kind, path: str, message: str) -> Finding:
    return Finding(kind=kind, path=shown(path), message=message)


def _closed(finding: Finding) -> Archive:
    return Archive(findings=(finding,), read=lambda _: b"")


def _end_fault(stream: BinaryIO, limits: Limits) -> Finding | None:
    try:
        entries, directory_bytes = read_end(stream)
    except EndError as error:
        message = f"{error}: expected one zip that holds the package"
        return _fault("archive", "", message)
    if entries > limits.entries or directory_bytes > limits.directory_bytes:
        message = (
            f"{entries:,} entries in a directory of {directory_bytes:,} bytes; at most "
            f"{limits.entries:,} entries and {limits.directory_bytes:,} bytes are read"
        )
        return _fault("bomb", "", message)
    return None


def _zip(opened: zipfile.ZipFile, limits: Limits) -> Archive:
    infos = opened.infolist()
    findings = [finding for info in infos for finding in _member_faults(info, limits)]
    findings += _whole_faults(infos, limits)
    findings += _repeated([info.orig_filename for info in infos])
    bad = {finding.path for finding in findings if finding.kind == "encrypted"}
    regular = {i.orig_filename: i for i in infos if not i.orig_filename.endswith("/")}

    def read(name: str) -> bytes:
        with opened.open(regular[name]) as member:
            return member.read(limits.entry_bytes + 1)

    return Archive(
        files={name: info.file_size for name, info in regular.items() if shown(name) not in bad},
        folders=tuple(i.orig_filename for i in infos if i.orig_filename.endswith("/")),
        findings=tuple(findings),
        read=read,
    )


def _member_faults(info: zipfile.ZipInfo, limits: Limits) -> Iterator[Finding]:
    name = info.orig_filename
    reason = name_fault(name)
    if reason is not None:
        yield _fault("name", name, reason)
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = "a symbolic link" if mode == stat.S_IFLNK else "a special file"
        yield _fault("link", name, f"{what}; expected a regular file")
    if info.flag_bits & _ENCRYPTED:
        yield _fault("encrypted", name, "encrypted; make the zip without a password")
    if info.compress_type not in _METHODS:
        yield _fault("archive", name, "packed by a method that is not read; use store or deflate")
    yield from _bulk_faults(name, info.file_size, info.compress_size, limits)


def _bulk_faults(name: str, unpacked: int, packed: int, limits: Limits) -> Iterator[Finding]:
    if unpacked > limits.entry_bytes:
        most = f"a mask has at most {limits.entry_bytes:,}"
        yield _fault("bomb", name, f"unpacks to {unpacked:,} bytes; {most}")
    elif unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * packed:
        ratio = unpacked // max(packed, 1)
        most = f"at most {limits.ratio} times is read"
        yield _fault("bomb", name, f"unpacks to {ratio:,} times its packed size; {most}")


def _whole_faults(infos: list[zipfile.ZipInfo], limits: Limits) -> Iterator[Finding]:
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        most = f"at most {limits.total_bytes:,} are read"
        yield _fault("bomb", "", f"unpacks to {total:,} bytes in all; {most}")
    if len(infos) > limits.entries:
        yield _fault("bomb", "", f"{len(infos):,} entries; at most {limits.entries:,} are read")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            yield _fault("bomb", info.orig_filename, "shares its bytes with another entry")
            return
        name_bytes = len(info.orig_filename.encode("utf-8", "replace"))
        smallest = _LOCAL_HEADER_BYTES + min(name_bytes, len(info.orig_filename))
        end = info.header_offset + smallest + info.compress_size


def _repeated(names: list[str]) -> Iterator[Finding]:
    for name, times in Counter(names).items():
        if times > 1:
            yield _fault("duplicate", name, f"stands {times} times in the archive")
    alike = Counter(unicodedata.normalize("NFC", name).casefold() for name in set(names))
    for name in sorted(set(names)):
        if alike[unicodedata.normalize("NFC", name).casefold()] > 1:
            yield _fault("duplicate", name, "differs from another entry only by case or accents")


def _folder(path: Path, root: str, limits: Limits) -> Archive:
    top = path.parent if path.name == root else path
    files: dict[str, int] = {}
    folders: list[str] = []
    findings: list[Finding] = []
    pending = [path]
    while pending and len(files) + len(folders) <= limits.entries:
        for entry in sorted(pending.pop().iterdir()):
            name = entry.relative_to(top).as_posix()
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                findings.append(_fault("link", name, "a link or special file; expected a file"))
            elif entry.is_dir():
                folders.append(f"{name}/")
                pending.append(entry)
            else:
                files[name] = entry.stat().st_size
    findings += [f for name, size in files.items() for f in _bulk_faults(name, size, size, limits)]
    if pending or sum(files.values()) > limits.total_bytes:
        most = f"{limits.entries:,} files or {limits.total_bytes:,} bytes"
        findings.append(_fault("bomb", "", f"more than {most}"))
    findings += _repeated([*files, *folders])

    def read(name: str) -> bytes:
        with (top / name).open("rb") as stream:
            return stream.read(limits.entry_bytes + 1)

    return Archive(files=files, folders=tuple(folders), findings=tuple(findings), read=read)
