"""Zips and images made to deceive: what two readers take differently, or what never ends."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from metrics.utils.errors import UserError
from submissions.reading.mask import Content
from submissions.reading.validate import inspect_package
from submissions.scoring import package_sha256

FOLDER = "EndoCV2021/segmentation/EndoCV_DATA1_pred"
MASK = f"{FOLDER}/a_0_mask.jpg"
TIMING = f"{FOLDER}/timeElaspsedEndoCV_DATA1.txt"
HEIGHT, WIDTH = 40, 56
JUNK = "__MACOSX/._a"


def found(path: Path, sizes) -> set[tuple[str, str]]:
    return {(f.kind, f.path) for f in inspect_package(path, sizes).findings}


def messages(path: Path, sizes) -> str:
    return "\n".join(f.message for f in inspect_package(path, sizes).findings)


def end_changed(data: bytes, offset: int, value: bytes) -> bytes:
    place = data.rfind(b"PK\5\6") + offset
    return data[:place] + value + data[place + len(value) :]


def local_changed(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    place = data.find(name.encode()) - 30 + offset
    return data[:place] + value + data[place + len(value) :]


def listed_changed(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    place = data.rfind(name.encode()) - 46 + offset
    return data[:place] + value + data[place + len(value) :]


def with_hidden_bytes(data: bytes) -> bytes:
    """Bytes between the last entry and the directory, which still is where the end says."""
    end = data.rfind(b"PK\5\6")
    (offset,) = struct.unpack_from("<I", data, end + 16)
    moved = data[:offset] + b"hidden" + data[offset:]
    return end_changed(moved, 16, struct.pack("<I", offset + 6))


def other_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("other", b"x")
    return buffer.getvalue()


def with_zip_as_comment(data: bytes) -> bytes:
    other = other_zip()
    return data[:-2] + struct.pack("<H", len(other)) + other


def large(data: bytes, *, count: int | None = None, where: int | None = None, disks: int = 1):
    """The end of a zip once more as that of a large zip, which may lie."""
    end = data.rfind(b"PK\5\6")
    *_, entries, directory_bytes, offset, _ = struct.unpack("<4s4H2LH", data[end:])
    count = entries if count is None else count
    sizes = (44, 45, 45, 0, 0, count, count, directory_bytes, offset)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", *sizes)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end if where is None else where, disks)
    unset = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + locator + unset


# What is done to the bytes of a sound package, and what is said of it.
CONTAINERS = {
    "a script before it": (lambda d: b"#!/bin/sh\n" + d, "belong to no entry"),
    "bytes behind it": (lambda d: d + b"x" * 9, "9 bytes behind its end"),
    "a zip behind it": (lambda d: d + other_zip(), "belong to no entry"),
    "a zip as its comment": (with_zip_as_comment, "belong to no entry"),
    "hidden bytes": (with_hidden_bytes, "6 bytes before the zip's directory"),
    "a comment cut short": (lambda d: end_changed(d, 20, b"\xff\0"), "cut short"),
    "the second of two parts": (lambda d: end_changed(d, 4, b"\1\0\1\0"), "several parts"),
    "an entry of another part": (lambda d: listed_changed(d, MASK, 34, b"\3\0"), "in part 3"),
    "fewer entries said": (lambda d: end_changed(d, 8, b"\2\0\2\0"), "its end says 2"),
    "another name inside": (
        lambda d: d.replace(b"a_0_mask", b"../../..", 1),
        "its name is another",
    ),
    "another size inside": (lambda d: local_changed(d, MASK, 22, b"\1\0"), "its size is another"),
    "another method inside": (lambda d: local_changed(d, MASK, 8, b"\0"), "its packing is another"),
    "no header where it should be": (
        lambda d: local_changed(d, MASK, 0, b"NOPE"),
        "does not begin where",
    ),
    "a place beyond the end": (
        lambda d: listed_changed(d, MASK, 42, b"\xff\xff\xff\x7f"),
        "does not begin where",
    ),
    "a large zip of many entries": (lambda d: large(d, count=1 << 40), "1,099,511,627,776 entries"),
    "a large zip of many parts": (lambda d: large(d, disks=9), "several parts"),
    "a large zip with two ends": (lambda d: large(d, where=5), "contradicts itself"),
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_a_zip_that_can_be_read_in_two_ways_is_refused(what, entries, zipped, sizes) -> None:
    change, message = CONTAINERS[what]
    path = zipped(entries)
    path.write_bytes(change(path.read_bytes()))
    assert message in messages(path, sizes)


def test_honest_zips_of_other_kinds_are_sound(entries, zipped, sizes, tmp_path) -> None:
    path = zipped(entries)
    whole = path.read_bytes()
    path.write_bytes(large(whole))
    assert found(path, sizes) == set()
    path.write_bytes(end_changed(whole, 20, b"\4\0") + b"team")
    assert found(path, sizes) == set()

    class Pipe(io.RawIOBase):
        """Cannot be sought in, so that sizes follow the bytes."""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return stream.write(data)

    with path.open("wb") as stream, zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    assert found(path, sizes) == set()


@pytest.mark.parametrize("name", [MASK, JUNK])
def test_an_entry_that_unpacks_to_more_than_is_said_is_refused(name, entries, zipped, sizes):
    """Its checksum fits what is said; who unpacks it gets a mebibyte more."""
    said = entries.get(name, b"x" * 100)
    path = zipped(entries | {name: said + bytes(1 << 20)})
    data = path.read_bytes()
    for change, crc, size in ((local_changed, 14, 22), (listed_changed, 16, 24)):
        data = change(data, name, crc, struct.pack("<I", zlib.crc32(said)))
        data = change(data, name, size, struct.pack("<I", len(said)))
    path.write_bytes(data)
    assert found(path, sizes) == {("unreadable", name)}


def test_a_second_name_behind_the_first_is_refused(entries, sizes, tmp_path) -> None:
    value = b"\1" + struct.pack("<L", zlib.crc32(MASK.encode())) + b"../../evil.jpg"
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HH", 0x7075, len(value)) + value if name == MASK else b""
            archive.writestr(info, data)
    assert found(path, sizes) == {("archive", MASK)}


def test_a_folder_with_bytes_or_by_its_mode_alone_is_refused(entries, sizes, tmp_path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (entries | {f"{FOLDER}/": b"data"}).items():
            info = zipfile.ZipInfo(name)
            if name == MASK:
                info.external_attr = stat.S_IFDIR << 16
            archive.writestr(info, data)
    assert found(path, sizes) == {("archive", f"{FOLDER}/"), ("link", MASK)}


def test_a_file_that_is_a_folder_too_is_refused(entries, zipped, sizes) -> None:
    entries[f"{MASK}/b_mask.jpg"] = entries[MASK]
    assert ("duplicate", MASK) in found(zipped(entries), sizes)


def test_names_of_ten_thousand_folders_cost_next_to_nothing(zipped, run_python) -> None:
    path = zipped({f"{number}/{'a/' * 30_000}x": b"" for number in range(100)})
    code = """
import sys
from pathlib import Path
from submissions.reading.validate import inspect_package
findings = inspect_package(Path(sys.argv[1])).findings
status = Path("/proc/self/status").read_text()
print(len([f for f in findings if f.kind == "name"]))
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""
    output, errors = run_python(code, path).communicate(timeout=120)
    count, peak_mib = map(int, output.split())
    assert count == 100, errors
    assert peak_mib < 300


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path) -> None:
    pipe = tmp_path / "package.zip"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        for look in (inspect_package, package_sha256):
            with pytest.raises(UserError, match="a pipe, a device"):
                look(path)


def test_a_giant_is_refused_unread(tmp_path) -> None:
    path = tmp_path / "giant.zip"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # takes no room on the disk
    for look in (inspect_package, package_sha256):
        with pytest.raises(UserError, match="at most"):
            look(path)


# --- images ------------------------------------------------------------------------------------

BLACK = np.zeros((HEIGHT, WIDTH), np.uint8)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checked = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checked


def png(*chunks: bytes, pixels: bytes = bytes((WIDTH + 1) * HEIGHT)) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    packed = png_chunk(b"IDAT", zlib.compress(pixels, 9))
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    return start + b"".join(chunks) + packed + png_chunk(b"IEND", b"")


def by_pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


def with_scans(number: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = by_pillow(Image.fromarray(BLACK), "JPEG", progressive=True)
    end = data.rfind(b"\xff\xd9")
    return data[:end] + data[data.rfind(b"\xff\xda") : end] * number + data[end:]


def tiff(*, page: int = 0, strips: int = 1) -> bytes:
    packed = zlib.compress(BLACK.tobytes())
    tags = [(256, 1, WIDTH), (257, 1, HEIGHT), (258, 1, 8), (259, 1, 8), (262, 1, 1)]
    tags += [(273, strips, 122), (277, 1, 1), (278, 1, HEIGHT), (279, strips, len(packed))]
    entries = b"".join(struct.pack("<HHII", tag, 4, *rest) for tag, *rest in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", page) + packed


IMAGES = {
    "text that unpacks to gigabytes": (
        lambda: png(*[png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))] * 80),
        "bytes of packed text",
    ),
    "pixels that unpack to gigabytes": (lambda: png(pixels=bytes(9 << 20)), "a damaged PNG"),
    "pixels that unpack to too few": (lambda: png(pixels=bytes(99)), "a damaged PNG"),
    "a million chunks": (lambda: png(*[png_chunk(b"tEXt", b"a\0b")] * 20_001), "20,000 chunks"),
    "an animation": (lambda: png(png_chunk(b"acTL", bytes(8))), "more than one picture"),
    "a turned PNG": (lambda: by_pillow(Image.fromarray(BLACK), "PNG", exif=turned()), "turned by"),
    "a turned JPEG": (
        lambda: by_pillow(Image.fromarray(BLACK), "JPEG", exif=turned()),
        "turned by",
    ),
    "a thousand scans": (lambda: with_scans(1000), "16 scans"),
    "a million bytes of filling": (
        lambda: b"\xff\xd8" + b"\xff" * (1 << 20),
        "a damaged JPEG header",
    ),
    "a million empty segments": (
        lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * (1 << 20),
        "1000 segments",
    ),
    "a JPEG of four inks": (
        lambda: by_pillow(Image.fromarray(BLACK).convert("CMYK"), "JPEG"),
        "of a printer",
    ),
    "a TIFF of four inks": (
        lambda: by_pillow(Image.fromarray(BLACK).convert("CMYK"), "TIFF"),
        "of a printer",
    ),
    "pages without end": (lambda: tiff(page=8), "more than one page"),
    "a million strips": (lambda: tiff(strips=1 << 20), "65,536 strips"),
    "a JPEG in a TIFF": (
        lambda: by_pillow(Image.fromarray(BLACK), "TIFF", compression="jpeg"),
        "method that is not read",
    ),
}


@pytest.mark.parametrize("what", IMAGES)
def test_an_image_made_to_deceive_is_refused(what, entries, zipped, sizes) -> None:
    make, message = IMAGES[what]
    entries[MASK] = make()
    path = zipped(entries)
    assert found(path, sizes) == {("unreadable", MASK)}
    assert message in messages(path, sizes)


def test_the_images_that_were_changed_are_sound_without_the_change(entries, zipped, sizes) -> None:
    for data in (png(), tiff(), with_scans(0), png(png_chunk(b"tEXt", b"a\0b"))):
        entries[MASK] = data
        assert found(zipped(entries), sizes) == set()


PILLOWS = {
    "PNG": [{}, {"mode": "1"}, {"mode": "P"}, {"mode": "RGBA"}, {"mode": "LA"}],
    "TIFF": [
        {"compression": packing} for packing in ("raw", "tiff_lzw", "packbits", "tiff_deflate")
    ]
    + [{"mode": "1", "compression": "group4"}, {"mode": "RGB"}, {"mode": "RGBA"}],
    "BMP": [{}, {"mode": "1"}, {"mode": "RGB"}],
}


@pytest.mark.parametrize("kind", PILLOWS)
def test_every_honest_way_to_save_a_mask_is_read_as_the_organisers_do(
    kind, entries, zipped, sizes, masks, tmp_path
) -> None:
    mask = masks["EndoCV_DATA1"]["a_0"]
    for options in PILLOWS[kind]:
        image = Image.fromarray(mask * np.uint8(255)).convert(options.get("mode", "L"))
        rest = {name: value for name, value in options.items() if name != "mode"}
        entries[MASK] = by_pillow(image, kind, **rest)
        file = tmp_path / "a_0_mask.jpg"
        file.write_bytes(entries[MASK])
        theirs = cv2.imread(str(file))[..., 0] > 0
        read: list[Content] = []
        inspection = inspect_package(zipped(entries), sizes, on_mask=read.append)
        assert inspection.findings == (), options
        (ours,) = (c.decode("official") for c in read if c.place.path == MASK)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, mask)


# --- timing ------------------------------------------------------------------------------------


TIMINGS = {
    "many lines": b"a\n" * 2_000,
    "many frames": b"a -----> 1\n" * 400,
    "one long line": b"1" * 50_000,
    "a number of Python's own": b"a_0 -----> 1_2.5",
    "Arabic digits": "a_0 -----> \u0661\u0662".encode(),
}


@pytest.mark.parametrize("what", TIMINGS)
def test_a_timing_file_that_is_large_or_odd_is_refused(what, entries, zipped, sizes) -> None:
    entries[TIMING] = TIMINGS[what]
    assert found(zipped(entries), sizes) == {("timing", TIMING)}


def test_byte_order_mark_and_windows_lines_are_read(entries, zipped, sizes) -> None:
    entries[TIMING] = b"\xef\xbb\xbf" + entries[TIMING].replace(b"\n", b"\r\n")
    assert found(zipped(entries), sizes) == set()
