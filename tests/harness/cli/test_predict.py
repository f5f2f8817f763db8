"""``harness predict``: masks for a folder, an image, a video."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from harness.cli import cli
from harness.runs.workspace import Workspace


def call(workspace: Workspace, source: Path, out: Path, *arguments: str) -> Result:
    line = ["predict", str(source), "--out", str(out), "--workspace", str(workspace.root)]
    return CliRunner().invoke(cli, [*line, *arguments])


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def folder(workspace: Workspace, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masks")
    result = call(workspace, images, out)
    assert result.exit_code == 0, result.output
    return out


def test_every_image_gets_its_mask(folder: Path, images: Path) -> None:
    names = sorted(path.stem for path in images.iterdir())
    assert sorted(path.stem for path in folder.glob("*.png")) == names
    shares = pd.read_csv(folder / "predictions.csv").set_index("image")["polyp_share"]
    for path in images.iterdir():
        mask = read(folder / f"{path.stem}.png")
        assert mask.shape == read(path).shape[:2]
        assert set(np.unique(mask)) <= {0, 255}
        assert shares[path.name] == pytest.approx((mask > 0).mean(), abs=1e-9)
    assert 0 < shares.mean() < 1


def test_maps_hold_the_probabilities_behind_the_masks(
    folder: Path, images: Path, workspace: Workspace, tmp_path: Path
) -> None:
    image = min(images.iterdir())
    full, small = tmp_path / "full", tmp_path / "small"
    options = ("--probabilities", "--maps", "full", "--map-bits", "16", "--threshold", "0.7")
    assert call(workspace, image, full, *options).exit_code == 0
    assert call(workspace, image, small, "--probabilities").exit_code == 0

    name = f"{image.stem}.png"
    deep = read(full / "probabilities" / name)
    assert deep.dtype == np.uint16
    assert np.array_equal(deep > 32767, read(folder / name) > 0)
    assert np.array_equal(deep > 0.7 * 65535, read(full / name) > 0)
    assert read(small / "probabilities" / name).shape == (64, 64)
    described = json.loads((small / "probabilities" / "maps.json").read_text())
    assert described["scale"] == {"0": 0, "255": 1}

    (small / "probabilities" / name).write_bytes(b"mine")
    refused = call(workspace, image, small, "--probabilities")
    assert refused.exit_code == 1
    assert f"probabilities/{name}" in refused.stderr


def test_one_image_as_in_its_folder(
    folder: Path, images: Path, workspace: Workspace, tmp_path: Path
) -> None:
    image = min(images.iterdir())

    assert call(workspace, image, tmp_path, "--batch-size", "1").exit_code == 0

    assert np.array_equal(read(tmp_path / f"{image.stem}.png"), read(folder / f"{image.stem}.png"))


def test_a_video_is_predicted_as_its_frames_are(
    folder: Path, images: Path, workspace: Workspace, tmp_path: Path
) -> None:
    # MJPG keeps each frame by itself; what is decoded from it is what has to be predicted.
    video = tmp_path / "withdrawal.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (96, 80))
    for image in sorted(images.iterdir()):
        writer.write(cv2.resize(cv2.imread(str(image)), (96, 80)))
    writer.release()
    frames = tmp_path / "frames"
    frames.mkdir()
    capture, count = cv2.VideoCapture(str(video)), 0
    while (taken := capture.read())[0]:
        count += 1
        cv2.imwrite(str(frames / f"withdrawal_{count:06d}.png"), taken[1])

    result = call(workspace, video, tmp_path / "film")
    assert call(workspace, frames, tmp_path / "stills").exit_code == 0

    assert result.exit_code == 0, result.output
    assert "frames a second" in result.stderr
    masks = sorted((tmp_path / "film").glob("*.png"))
    assert [mask.name for mask in masks] == [path.name for path in sorted(frames.iterdir())]
    assert all(np.array_equal(read(m), read(tmp_path / "stills" / m.name)) for m in masks)
    rows = pd.read_csv(tmp_path / "film" / "predictions.csv")
    assert rows["second"].tolist() == pytest.approx([number / 25 for number in range(count)])
    overlay = cv2.VideoCapture(str(tmp_path / "film" / "withdrawal_overlay.mp4"))
    assert overlay.get(cv2.CAP_PROP_FRAME_COUNT) == count


def test_a_video_that_breaks_off_keeps_what_came_before(
    workspace: Workspace, tmp_path: Path
) -> None:
    video = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (96, 80))
    noise = np.random.default_rng(0).integers(0, 256, (20, 80, 96, 3), dtype=np.uint8)
    for frame in noise:
        writer.write(frame)
    writer.release()
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    refused = call(workspace, video, tmp_path / "out", "--model", "fpn", "--keep-going")
    assert (refused.exit_code, "--keep-going is for images" in refused.output) == (2, True)

    result = call(workspace, video, tmp_path / "out", "--model", "fpn")

    assert result.exit_code == 1
    assert "only" in result.output
    assert "Traceback" not in result.output
    masks = list((tmp_path / "out").glob("cut_*.png"))
    assert 0 < len(masks) < 20
    assert len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == len(masks)


def test_a_file_that_is_neither(workspace: Workspace, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no frames in here")

    result = call(workspace, notes, tmp_path / "out")

    assert result.exit_code == 1
    assert "notes.txt: expected an image (JPEG" in result.output
    assert not (tmp_path / "out").exists()


def test_a_still_of_another_format_or_name_and_a_turned_one(
    workspace: Workspace, images: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(min(images.iterdir())) as image:
        for name, kind in (("a.webp", "WEBP"), ("b.gif", "GIF"), ("c.jfif", "JPEG")):
            image.save(tmp_path / name, kind, exif=exif)
            result = call(workspace, tmp_path / name, tmp_path / name[0], "--model", "fpn")

            assert result.exit_code == 0, result.output
            assert ("1 of 1 images have an orientation tag" in result.stderr) is (kind != "GIF")
            mask = read(tmp_path / name[0] / f"{name[0]}.png")
            assert mask.shape == (image.height, image.width)
        image.save(tmp_path / "d.gif", save_all=True, append_images=[image.rotate(9)])
    assert call(workspace, tmp_path / "d.gif", tmp_path / "d", "--model", "fpn").exit_code == 0
    assert (tmp_path / "d" / "d_000001.png").exists()


def test_a_precision_says_what_it_changes(
    workspace: Workspace, images: Path, tmp_path: Path
) -> None:
    result = call(workspace, images, tmp_path, "--precision", "bf16", "--model", "fpn")

    assert result.exit_code == 0, result.output
    assert "bf16 changes" in result.stderr
    assert "against fp32" in " ".join(result.stderr.split())


@pytest.fixture
def mixed(images: Path, tmp_path: Path) -> Path:
    """Two images, one of them in a sub-folder, and what is none."""
    folder = tmp_path / "mixed"
    (folder / "sub").mkdir(parents=True)
    for name in ("top.png", "sub/deep.png"):
        shutil.copy(min(images.iterdir()), folder / name)
    (folder / "notes.webp").write_text("none")
    (folder / "gone.png").symlink_to("nowhere.png")
    return folder


def test_what_is_passed_over_is_named(workspace: Workspace, mixed: Path, tmp_path: Path) -> None:
    result = call(workspace, mixed, tmp_path / "out", "--model", "fpn")

    said = " ".join(result.stderr.split())
    assert result.exit_code == 0, result.output
    assert "3 passed over" in said
    assert all(name in said for name in ("sub/", "notes.webp", "gone.png (a dead link)"))
    assert masks_in(tmp_path / "out") == ["top.png"]


def test_recursive_keeps_the_paths(workspace: Workspace, mixed: Path, tmp_path: Path) -> None:
    result = call(workspace, mixed, tmp_path / "out", "--model", "fpn", "--recursive")

    assert result.exit_code == 0, result.output
    assert masks_in(tmp_path / "out") == ["sub/deep.png", "top.png"]
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert sorted(rows["image"]) == ["sub/deep.png", "top.png"]


@pytest.mark.parametrize(
    "pair", [("a.png", "a.tif"), ("a.png", "A.png"), ("\u00e9.png", "e\u0301.png")]
)
def test_twins_are_refused_before_anything_is_written(
    workspace: Workspace, images: Path, tmp_path: Path, pair: tuple[str, str]
) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    for name in pair:
        shutil.copy(min(images.iterdir()), folder / name)

    result = call(workspace, folder, tmp_path / "out")

    assert result.exit_code == 1
    assert all(name in result.output for name in pair)
    assert not (tmp_path / "out").exists()


def test_maps_and_masks_never_share_a_name(
    workspace: Workspace, mixed: Path, tmp_path: Path
) -> None:
    (mixed / "sub").rename(mixed / "Uncertainty")
    shutil.copy(mixed / "top.png", mixed / "Uncertainty" / "top.png")
    arguments = (workspace, mixed, tmp_path / "out", "--recursive", "--uncertainty")

    result = call(*arguments, "--model", "divergentnets")

    assert result.exit_code == 1
    assert "folder uncertainty" in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("route", ["itself", "link", "below"])
def test_masks_never_go_into_the_source(
    workspace: Workspace, mixed: Path, tmp_path: Path, route: str
) -> None:
    (tmp_path / "link").symlink_to(mixed)
    out = {"itself": mixed / "sub" / "..", "link": tmp_path / "link", "below": mixed / "masks"}
    before = contents(mixed)

    result = call(workspace, mixed, out[route], "--overwrite")

    assert result.exit_code == 1
    assert "SOURCE" in result.output
    assert contents(mixed) == before


def test_an_image_is_never_its_own_mask(workspace: Workspace, mixed: Path, tmp_path: Path) -> None:
    before = contents(mixed)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "top.png").hardlink_to(mixed / "top.png")

    for out in (mixed, tmp_path / "out"):
        result = call(workspace, mixed / "top.png", out, "--overwrite")
        assert result.exit_code == 1
        assert "one of the files to read" in " ".join(result.output.split())

    assert contents(mixed) == before


def test_files_of_others_are_not_replaced(
    workspace: Workspace, mixed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "truth"
    out.mkdir()
    for name in ("top.png", "predictions.csv"):
        (out / name).write_text("by hand")
    arguments = (workspace, mixed, out, "--model", "fpn")

    refused = call(*arguments)

    assert refused.exit_code == 1
    assert "2 faults" in refused.output
    assert sorted(contents(out).values()) == [b"by hand", b"by hand"]
    assert call(*arguments, "--overwrite").exit_code == 0
    again = call(*arguments)
    assert again.exit_code == 0, again.output  # what the harness wrote it replaces
    (out / "top.png").write_text("corrected by hand")
    assert call(*arguments).exit_code == 1


def test_frames_of_a_video_replace_nothing_of_others(workspace: Workspace, tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (96, 80))
    writer.write(np.zeros((80, 96, 3), np.uint8))
    writer.release()
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip_000001.png").write_text("by hand")

    assert call(workspace, video, out).exit_code == 1

    assert contents(out) == {"clip_000001.png": b"by hand"}


def test_all_damaged_images_are_named(workspace: Workspace, mixed: Path, tmp_path: Path) -> None:
    for name in ("cut.png", "empty.jpg"):
        (mixed / name).write_bytes((mixed / "top.png").read_bytes()[:60] * (name == "cut.png"))
    arguments = (workspace, mixed, tmp_path / "out", "--model", "fpn")

    refused = call(*arguments)

    assert refused.exit_code == 1
    assert all(name in refused.output for name in ("2 faults", "cut.png", "empty.jpg"))
    assert not (tmp_path / "out").exists()
    kept = call(*arguments, "--keep-going")
    assert kept.exit_code == 1
    assert all(name in kept.output for name in ("2 faults", "cut.png", "empty.jpg"))
    assert masks_in(tmp_path / "out") == ["top.png"]


def masks_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_mask_that_windows_could_not_hold_is_refused_before_any_is_written(
    images: Path, workspace: Workspace, tmp_path: Path
) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    for name in ("AUX", "nul", "sound"):
        (source / f"{name}.png").write_bytes(min(images.iterdir()).read_bytes())
    result = call(workspace, source, tmp_path / "out")
    assert result.exit_code == 1
    assert "AUX.png" in result.output
    assert "nul.png" in result.output
    assert "sound" not in result.output
    assert not (tmp_path / "out").exists()


def test_files_of_earlier_commands_in_out_are_named(
    images: Path, workspace: Workspace, tmp_path: Path
) -> None:
    first, second = sorted(images.iterdir())[:2]
    assert "stay in" not in call(workspace, first, tmp_path, "--probabilities").output
    assert "stay in" not in call(workspace, first, tmp_path, "--probabilities").output
    said = call(workspace, second, tmp_path).output
    left = f"{first.stem}.png, probabilities/{first.stem}.png, probabilities/maps.json"
    assert f"3 files of earlier commands stay in {tmp_path}: {left}" in said.replace("\n", "")
