"""Broken and hostile packages: each is refused, with its fault named."""

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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from metrics.utils.errors import UserError
from submissions.layout import PackageLayout
from submissions.reading.archive import Limits, name_fault
from submissions.reading.find_packages import find_packages
from submissions.reading.validate import inspect_package
from submissions.rounds import BUILT_IN
from submissions.writing.encoding import encode_mask
from submissions.writing.package import PackageWriter

FOLDER = "EndoCV2021/segmentation/EndoCV_DATA1_pred"
MASK = f"{FOLDER}/a_0_mask.jpg"
OTHER = f"{FOLDER}/a_1_mask.jpg"
TIMING = f"{FOLDER}/timeElaspsedEndoCV_DATA1.txt"
SIZE = (40, 56)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def noise() -> np.ndarray:
    return (np.random.default_rng(0).random(SIZE) > 0.5) * np.uint8(255)


def opencvs_tiff() -> bytes:
    return cv2.imencode(".tif", noise())[1].tobytes()


def cut_out() -> np.ndarray:
    """White everywhere, a square told by the alpha channel alone."""
    pixels = np.full((*SIZE, 4), 255, np.uint8)
    pixels[..., 3] = 0
    pixels[5:15, 5:15, 3] = 255
    return pixels


def grey_cut_out() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(cut_out()[..., 2:])).save(stream, "TIFF")
    return stream.getvalue()


def damaged(data: bytes) -> bytes:
    """Zeros for a fifth of the file, in its middle, where the pixels lie."""
    middle, length = len(data) // 3, len(data) // 5
    return data[:middle] + bytes(length) + data[middle + length :]


def kinds(path: Path, expected=None) -> dict[str, str]:
    """Kind of each fault with its path; the last of a kind stands for all."""
    return {f.kind: f.path for f in inspect_package(path, expected).findings}


def png_header(height: int, width: int) -> bytes:
    """A PNG that says it is huge, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 16))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


# Each breaks a sound package in one way; beside it the kind and the path of the fault.
BROKEN = {
    "a mask missing": (lambda e: e.pop(MASK), "missing", MASK),
    "a test set missing": (
        lambda e: [e.pop(n) for n in list(e) if "DATA2" in n],
        "missing",
        "EndoCV2021/segmentation/EndoCV_DATA2_pred",
    ),
    "an extra mask": (
        lambda e: e.update({f"{FOLDER}/z_mask.jpg": e[MASK]}),
        "extra",
        f"{FOLDER}/z_mask.jpg",
    ),
    "an extra file": (lambda e: e.update({f"{FOLDER}/me.txt": b""}), "extra", f"{FOLDER}/me.txt"),
    "a frame twice": (
        lambda e: e.update({f"{FOLDER}/a_0_mask.tif": e[MASK]}),
        "duplicate",
        f"{FOLDER}/a_0_mask.tif",
    ),
    "a wrong suffix": (
        lambda e: e.update({f"{FOLDER}/a_0_mask.png": e.pop(MASK)}),
        "extra",
        f"{FOLDER}/a_0_mask.png",
    ),
    "no '_mask' in the name": (
        lambda e: e.update({f"{FOLDER}/a_0.jpg": e.pop(MASK)}),
        "extra",
        f"{FOLDER}/a_0.jpg",
    ),
    "names that differ by case": (
        lambda e: e.update({f"{FOLDER}/A_0_mask.jpg": e[MASK]}),
        "duplicate",
        MASK,
    ),
    "a transposed mask": (
        lambda e: e.update({MASK: encode_mask(np.zeros(SIZE[::-1], bool)).data}),
        "size",
        MASK,
    ),
    "0 and 1 for 0 and 255": (
        lambda e: e.update({MASK: png(np.eye(*SIZE, dtype=np.uint8))}),
        "values",
        MASK,
    ),
    "a probability map": (
        lambda e: e.update({MASK: png(np.full(SIZE, 99, np.uint8))}),
        "values",
        MASK,
    ),
    "a probability map as JPEG": (
        lambda e: e.update({MASK: cv2.imencode(".jpg", np.full(SIZE, 99, np.uint8))[1].tobytes()}),
        "values",
        MASK,
    ),
    "a coloured mask": (
        lambda e: e.update({MASK: png(np.full((*SIZE, 3), (0, 0, 255), np.uint8))}),
        "values",
        MASK,
    ),
    "a shape cut out by alpha": (lambda e: e.update({MASK: png(cut_out())}), "values", MASK),
    "a shape cut out by alpha in a grey TIFF": (
        lambda e: e.update({MASK: grey_cut_out()}),
        "values",
        MASK,
    ),
    "sixteen bits": (
        lambda e: e.update({MASK: png(np.zeros(SIZE, np.uint16))}),
        "unreadable",
        MASK,
    ),
    "no image": (lambda e: e.update({MASK: b"nothing"}), "unreadable", MASK),
    "an empty file": (lambda e: e.update({MASK: b""}), "unreadable", MASK),
    "a TIFF cut short": (lambda e: e.update({MASK: e[MASK][:-9]}), "unreadable", MASK),
    "a PNG cut short": (
        lambda e: e.update({MASK: png(np.eye(*SIZE, dtype=np.uint8) * 255)[:-20]}),
        "unreadable",
        MASK,
    ),
    "a JPEG cut short": (
        lambda e: e.update(
            {MASK: cv2.imencode(".jpg", np.zeros(SIZE, np.uint8))[1].tobytes()[:-30]}
        ),
        "unreadable",
        MASK,
    ),
    "pixels damaged inside": (
        lambda e: e.update({MASK: e[MASK][:130] + bytes(len(e[MASK]) - 130)}),
        "unreadable",
        MASK,
    ),
    "pixels damaged inside OpenCV's own TIFF": (
        lambda e: e.update({MASK: damaged(opencvs_tiff())}),
        "unreadable",
        MASK,
    ),
    "pixels damaged inside a PNG": (
        lambda e: e.update({MASK: damaged(png(noise()))}),
        "unreadable",
        MASK,
    ),
    "a zip for a mask": (lambda e: e.update({MASK: b"PK\3\4" + bytes(60)}), "unreadable", MASK),
    "no timing file": (lambda e: e.pop(TIMING), "timing", TIMING),
    "the timing file well spelt": (
        lambda e: e.update({TIMING.replace("Elasps", "Elaps"): e.pop(TIMING)}),
        "timing",
        TIMING,
    ),
    "a timing line missing": (
        lambda e: e.update({TIMING: e[TIMING].split(b"\n", 1)[1]}),
        "timing",
        TIMING,
    ),
    "a timing file of bytes": (lambda e: e.update({TIMING: b"\xff\xfe\0"}), "timing", TIMING),
    "a misspelt folder": (
        lambda e: e.update({n.replace("DATA1_pred", "DATA1"): e.pop(n) for n in list(e)}),
        "layout",
        FOLDER.removesuffix("_pred"),
    ),
    "no root": (
        lambda e: e.update({n.removeprefix("EndoCV2021/"): e.pop(n) for n in list(e)}),
        "layout",
        FOLDER.removeprefix("EndoCV2021/"),
    ),
    "nested one too deep": (
        lambda e: e.update({f"team/{n}": e.pop(n) for n in list(e)}),
        "layout",
        f"team/{FOLDER}",
    ),
    "two roots": (lambda e: e.update({"backup/a.txt": b"1"}), "layout", "backup/a.txt"),
    "a file beside the root": (lambda e: e.update({"README.md": b"1"}), "layout", "README.md"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_package_is_refused_by_name(what, entries, zipped, sizes, tmp_path) -> None:
    break_it, kind, path = BROKEN[what]
    break_it(entries)
    found = inspect_package(zipped(entries), sizes).findings
    assert (kind, path) in {(f.kind, f.path) for f in found}
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "broken.zip") as archive:
        archive.extractall(folder)
    unpacked = inspect_package(folder, sizes).findings
    assert {(f.kind, f.path) for f in unpacked} == {(f.kind, f.path) for f in found}


def test_a_sound_package_is_sound_in_both_forms(entries, zipped, sizes, tmp_path) -> None:
    path = zipped(entries)
    assert inspect_package(path, sizes).faults() == []
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert inspect_package(tmp_path / "unpacked", sizes).faults() == []
    assert inspect_package(tmp_path / "unpacked" / "EndoCV2021", sizes).faults() == []


def test_faults_come_all_at_once(entries, zipped, sizes) -> None:
    for name in ("a mask missing", "an extra file", "a timing line missing", "two roots"):
        BROKEN[name][0](entries)
    entries[OTHER] = png(np.full(SIZE, 7, np.uint8))
    found = kinds(zipped(entries), sizes)
    assert found.keys() == {"missing", "extra", "timing", "layout", "values"}


def test_what_macos_adds_is_noted_and_no_fault(entries, zipped, sizes) -> None:
    entries |= {"__MACOSX/EndoCV2021/._segmentation": b"x", f"{FOLDER}/.DS_Store": b"x"}
    inspection = inspect_package(zipped(entries), sizes)
    assert inspection.findings == ()
    assert "2 files" in inspection.notes[0]


def test_a_real_jpeg_is_noted_with_what_it_adds(entries, zipped, sizes, masks) -> None:
    mask = masks["EndoCV_DATA1"]["a_0"]
    entries[MASK] = encode_mask(mask, "jpeg").data
    inspection = inspect_package(zipped(entries), sizes)
    assert inspection.findings == ()
    read = cv2.imdecode(np.frombuffer(entries[MASK], np.uint8), cv2.IMREAD_GRAYSCALE)
    gain = (read > 0).sum() / (read > 127).sum() - 1
    assert f"{gain:+.1%}" in inspection.notes[0]


def test_other_rounds_name_their_own_root_and_sets(entries, zipped) -> None:
    renamed = {n.replace("EndoCV2021", "R").replace("EndoCV_", ""): d for n, d in entries.items()}
    path = zipped(renamed)
    assert (
        inspect_package(path, test_sets=["DATA1", "DATA2"], layout=PackageLayout(root="R")).faults()
        == []
    )
    assert kinds(path).keys() == {"layout", "missing"}
    faults = inspect_package(
        path, test_sets=["DATA1", "DATA3"], layout=PackageLayout(root="R")
    ).faults()
    assert {fault.path for fault in faults} == {
        "R/segmentation/DATA3_pred",
        "R/segmentation/DATA2_pred",
    }


def test_a_package_that_is_not_there_is_a_users_fault(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        inspect_package(tmp_path / "nowhere.zip").faults()


# --- hostile -----------------------------------------------------------------------------------

HOSTILE_NAMES = {
    "../../evil.jpg": "outside",
    f"{FOLDER}/../../../evil.jpg": "outside",
    "/etc/evil.jpg": "absolute",
    "C:/evil.jpg": "absolute",
    "EndoCV2021\\segmentation\\x.jpg": "backslash",
    f"{FOLDER}//a_0_mask.jpg": "empty part",
    f"{FOLDER}/./a_0_mask.jpg": "empty part",
    f"{FOLDER}/a\x1b[2J_mask.jpg": "control",
    f"{FOLDER}/a\u202egpj.exe": "control",
    f"{FOLDER}/{'n' * 300}_mask.jpg": "255",
    f"{FOLDER}/con.jpg": "Windows",
    f"{FOLDER}/Aux/a_0_mask.jpg": "Windows",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_astray_is_refused(name, entries, zipped, sizes) -> None:
    entries[name] = b"x"
    found = [f for f in inspect_package(zipped(entries), sizes).findings if f.kind == "name"]
    (finding,) = found
    assert HOSTILE_NAMES[name] in finding.message
    assert finding.path.isprintable()


def test_an_entry_without_a_name_is_refused(entries, zipped, sizes) -> None:
    """The last entry's name becomes its comment, in the directory that readers go by."""
    path = zipped(entries | {"Z": b"x"})
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\1\2")
    data[place + 28 : place + 34] = struct.pack("<HHH", 0, 0, 1)
    path.write_bytes(bytes(data))
    assert kinds(path, sizes)["name"] == ""


def test_a_nul_in_a_name_is_refused(entries, zipped, sizes) -> None:
    path = zipped(entries | {f"{FOLDER}/a_0_mask.jpgXevil": b"x"})
    path.write_bytes(path.read_bytes().replace(b".jpgXevil", b".jpg\0evil"))
    assert "name" in kinds(path, sizes)


@given(st.text(max_size=60))
@settings(deadline=None)
def test_a_name_without_fault_stays_inside(name: str) -> None:
    if name_fault(name) is None:
        root = Path("/root/of/package")
        assert Path(os.path.normpath(root / name)).is_relative_to(root)
        assert "\0" not in name


def with_info(entries, path: Path, change) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            if name == MASK:
                change(info)
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_special_file_in_a_zip_is_refused(mode, entries, tmp_path, sizes) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.external_attr = (mode | 0o777) << 16

    path = with_info(entries, tmp_path / "link.zip", change)
    assert kinds(path, sizes)["link"] == MASK


def test_a_link_in_a_folder_is_refused_and_not_followed(entries, zipped, tmp_path, sizes) -> None:
    with zipfile.ZipFile(zipped(entries)) as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked"
    (folder / MASK).unlink()
    (folder / MASK).symlink_to(folder / OTHER)
    (folder / "EndoCV2021" / "loop").symlink_to(folder)
    found = {f.path for f in inspect_package(folder, sizes).findings if f.kind == "link"}
    assert found == {MASK, "EndoCV2021/loop"}


def test_an_unpacked_package_may_be_the_current_folder(
    entries, zipped, tmp_path, sizes, monkeypatch
) -> None:
    with zipfile.ZipFile(zipped(entries)) as archive:
        archive.extractall(tmp_path / "unpacked")
    monkeypatch.chdir(tmp_path / "unpacked" / "EndoCV2021")
    for path in (Path(), Path("segmentation", "..")):
        assert inspect_package(path, sizes).findings == ()
        assert find_packages(path, BUILT_IN).packages == [(Path.cwd(), "EndoCV2021")]


def test_a_folder_of_too_many_files_is_refused(entries, zipped, tmp_path, sizes) -> None:
    with zipfile.ZipFile(zipped(entries)) as archive:
        archive.extractall(tmp_path / "unpacked")
    entries = len(list((tmp_path / "unpacked").rglob("*")))
    for limit, expected in ((entries, []), (entries - 1, ["bomb"])):
        report = inspect_package(tmp_path / "unpacked", sizes, limits=Limits(entries=limit))
        assert [finding.kind for finding in report.findings] == expected


def flagged(path: Path, name: str, offset: int, value: bytes) -> Path:
    """Change bytes of an entry's record in the zip's directory."""
    data = bytearray(path.read_bytes())
    place = data.rfind(name.encode()) - 46
    assert data[place : place + 4] == b"PK\1\2"
    data[place + offset : place + offset + len(value)] = value
    path.write_bytes(bytes(data))
    return path


def in_both(path: Path, name: str, offset: int, value: bytes) -> Path:
    """The same change where the entry begins; ``offset`` counts from its own header."""
    data = bytearray(flagged(path, name, offset + 2, value).read_bytes())
    place = data.find(name.encode()) - 30
    assert data[place : place + 4] == b"PK\3\4"
    data[place + offset : place + offset + len(value)] = value
    path.write_bytes(bytes(data))
    return path


def test_an_encrypted_entry_is_refused(entries, zipped, sizes) -> None:
    path = flagged(zipped(entries), MASK, 8, b"\x01\0")
    assert kinds(path, sizes)["encrypted"] == MASK


def test_an_unknown_packing_method_is_refused(entries, zipped, sizes) -> None:
    path = flagged(zipped(entries), MASK, 10, struct.pack("<H", 14))
    assert kinds(path, sizes)["archive"] == MASK


def test_a_wrong_checksum_is_refused(entries, zipped, sizes) -> None:
    path = in_both(zipped(entries), MASK, 14, b"\1\2\3\4")
    assert kinds(path, sizes) == {"unreadable": MASK}


def test_a_size_that_is_a_lie_is_refused(entries, zipped, sizes) -> None:
    path = in_both(zipped(entries), MASK, 22, struct.pack("<I", 50))
    assert kinds(path, sizes) == {"unreadable": MASK}
    path = flagged(zipped(entries), MASK, 24, struct.pack("<I", 1 << 30))
    assert kinds(path, sizes)["bomb"] == MASK


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_stands_twice_is_refused(entries, tmp_path, sizes) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in [*entries.items(), (MASK, entries[OTHER])]:
            archive.writestr(name, data)
    assert kinds(path, sizes)["duplicate"] == MASK


@pytest.mark.parametrize("data", [b"", b"not a zip at all", bytes(100_000), b"PK\5\6" + bytes(10)])
def test_what_is_no_zip_is_refused(data, tmp_path) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(data)
    (finding,) = inspect_package(path).findings
    assert finding.kind == "archive"
    assert "not a zip" in finding.message


def test_a_zip_cut_short_is_refused_wherever_it_is_cut(entries, zipped, sizes) -> None:
    path = zipped(entries)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        (finding,) = inspect_package(path, sizes).findings
        assert "cut short" in finding.message


def test_a_bomb_by_ratio_is_refused_unread(entries, zipped, sizes) -> None:
    entries[f"{FOLDER}/z_mask.jpg"] = bytes(30 << 20)
    found = inspect_package(zipped(entries), sizes).findings
    (finding,) = [f for f in found if f.kind == "bomb"]
    assert "times its packed size" in finding.message


def test_a_bomb_by_size_is_refused_unread(entries, zipped) -> None:
    entries[MASK] = bytes(40 << 20)
    assert kinds(zipped(entries))["bomb"] == MASK


def test_a_bomb_by_number_is_refused(tmp_path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_100):
            archive.writestr(f"EndoCV2021/{number}", b"")
    (finding,) = inspect_package(path).findings
    assert finding.kind == "bomb"
    assert "20,100 entries" in finding.message


def test_a_directory_that_says_it_is_huge_is_never_loaded(entries, zipped) -> None:
    path = zipped(entries)
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", 1 << 30)
    path.write_bytes(bytes(data))
    assert kinds(path).keys() == {"bomb"}


def test_a_bomb_by_total_is_refused(entries, zipped, sizes) -> None:
    path = zipped(entries)
    found = inspect_package(path, sizes, limits=Limits(total_bytes=100)).findings
    assert "bomb" in {f.kind for f in found}


def test_entries_that_share_their_bytes_are_refused(entries, zipped, sizes) -> None:
    path = zipped(entries)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo(MASK).header_offset
    flagged(path, OTHER, 42, struct.pack("<I", offset))
    assert "bomb" in kinds(path, sizes)


@pytest.mark.parametrize("expected", [True, False])
def test_an_image_that_says_it_is_huge_is_not_decoded(
    expected, entries, zipped, sizes, monkeypatch
) -> None:
    decoded = []
    decode = cv2.imdecode

    def watched(data: np.ndarray, flags: int) -> np.ndarray:
        image = decode(data, flags)
        decoded.append(image.shape[0])
        return image

    entries[MASK] = png_header(30_000, 30_000)
    entries[OTHER] = png(np.zeros(SIZE, np.uint8))
    path = zipped(entries)
    monkeypatch.setattr(cv2, "imdecode", watched)
    assert kinds(path, sizes if expected else None)["bomb"] == MASK
    assert decoded == [SIZE[0]]


def test_many_images_of_unknown_size_share_a_budget(entries, zipped, sizes) -> None:
    path = zipped(entries)
    limits = Limits(work=5000)
    found = inspect_package(path, limits=limits).findings
    assert {f.kind for f in found} == {"bomb"}
    assert inspect_package(path, sizes, limits=limits).findings == ()


def test_a_tiff_with_giant_tiles_is_not_decoded(entries, zipped, sizes) -> None:
    tags = [(256, 56), (257, 40), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 32_768), (323, 32_768), (324, 300), (325, 4)]
    data = b"II*\0" + struct.pack("<IH", 8, len(tags))
    data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    entries[MASK] = data.ljust(400, b"\0")
    found = inspect_package(zipped(entries), sizes).findings
    assert [(f.kind, f.path) for f in found] == [("unreadable", MASK)]
    assert "tiles" in found[0].message


def test_nothing_is_written_anywhere(entries, zipped, sizes, tmp_path, monkeypatch) -> None:
    entries["../escaped.txt"] = b"x"
    path = zipped(entries)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    before = sorted(tmp_path.rglob("*"))
    assert "name" in kinds(path, sizes)
    assert sorted(tmp_path.rglob("*")) == before


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_damage_to_a_zip_escapes_as_another_error(data, entries, tmp_path_factory) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    whole = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        from_end = data.draw(st.booleans())
        reach = data.draw(st.integers(0, 900))
        whole[-1 - reach if from_end else reach] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(bytes(whole))
    inspect_package(path)


def test_hostile_images_and_bombs_stay_within_memory(tmp_path, run_python) -> None:
    """Twelve-megapixel masks, each a few kilobytes, without frames to judge them by."""
    mask = np.zeros((3500, 3500), bool)
    data = encode_mask(mask).data
    path = tmp_path / "wide.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(24):
            archive.writestr(f"{FOLDER}/f{number}_mask.jpg", data)
    code = """
import sys
from pathlib import Path
from submissions.reading.validate import inspect_package
faults = inspect_package(Path(sys.argv[1])).faults()
# VmHWM starts anew with the program; ru_maxrss would carry over the peak of the parent.
status = Path("/proc/self/status").read_text()
print(len(faults), int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""
    output, errors = run_python(code, path).communicate(timeout=120)
    count, peak_mib = map(int, output.split())
    assert count == 1, errors  # the timing file alone
    assert peak_mib < 700


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda mask: np.zeros_like(mask), "EndoCV_DATA1: all 3 masks are black"),
        (lambda mask: ~mask, "EndoCV_DATA1: all 3 masks are white to 75% or more: are they inver"),
        (lambda mask: np.ones_like(mask), "EndoCV_DATA1: all 3 masks are white"),
    ],
)
@pytest.mark.parametrize("file_format", ["jpg", "jpeg"])
def test_a_set_that_is_black_or_inverted_as_a_whole_is_noted(
    tmp_path, masks, sizes, changed, said, file_format
) -> None:
    with PackageWriter(tmp_path / "p.zip", file_format=file_format, expected=sizes) as writer:
        for test_set, names in masks.items():
            for name, mask in names.items():
                written = changed(mask) if test_set == "EndoCV_DATA1" else mask
                writer.add(test_set=test_set, name=name, mask=written, latency_ms=1.0)
    report = inspect_package(tmp_path / "p.zip", sizes)
    assert report.findings == ()
    (note,) = [note for note in report.notes if "JPEG" not in note]
    assert said in note


def test_hints_name_the_test_sets_that_are_asked_for(tmp_path: Path) -> None:
    layout = PackageLayout(root="R", task="", folders="{test_set}", prefix="Site", timings="")
    path = tmp_path / "nested.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", b"")
    findings = inspect_package(path, test_sets=("SiteB", "SiteA"), layout=layout).findings
    assert findings[0].message.endswith(
        "a zip in the zip; expected names such as R/SiteA/NAME_mask.jpg"
    )
    findings = inspect_package(path, layout=layout).findings
    assert findings[-1].message == "no masks at all; expected names such as R/Site*/NAME_mask.jpg"
