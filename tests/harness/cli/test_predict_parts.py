"""``harness predict --shard`` and ``--gather``: several processes predict as one does."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.runs.workspace import Workspace

LATENCY = "latency_ms"
SHARDS = (2, 4, 1, 3)


def call(workspace: Workspace, source: Path, out: Path, *arguments: str) -> Result:
    line = ["predict", str(source), "--out", str(out), "--workspace", str(workspace.root)]
    return CliRunner().invoke(cli, [*line, "--device", "cpu", *arguments])


def check_same(*outs: Path) -> None:
    """The same files of the same bytes, but for the milliseconds; and no part left."""
    files = [
        {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and path.name not in ("predictions.csv", ".harness-files")
        }
        for out in outs
    ]
    assert files[0] == files[1]
    tables = [pd.read_csv(out / "predictions.csv") for out in outs]
    assert (tables[0][LATENCY] > 0).all()
    ours, theirs = (table.drop(columns=LATENCY) for table in tables)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.slow
def test_four_parts_of_a_folder(workspace: Workspace, images: Path, tmp_path: Path) -> None:
    source, options = tmp_path / "frames", ("--model", "fpn", "--probabilities", "--keep-going")
    shutil.copytree(images, source)
    (source / "0-cut-off.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (source / "z-cut-off.jpg").write_bytes(b"\xff\xd8\xff")
    whole = call(workspace, source, tmp_path / "whole", *options)
    assert whole.exit_code == 1  # two images were left out
    out = tmp_path / "parts"

    codes = [call(workspace, source, out, *options, "--shard", f"{k}/4").exit_code for k in SHARDS]
    assert [path.name for path in out.iterdir()] == [".harness-parts"]  # until all are there
    joined = call(workspace, source, out, *options, "--gather")

    assert max(codes) == 1
    assert joined.exit_code == 1
    named = [line for line in joined.output.splitlines() if "cut-off" in line]
    assert named == [line for line in whole.output.splitlines() if "cut-off" in line]
    assert len(named) == 2
    check_same(out, tmp_path / "whole")


@pytest.mark.slow
def test_parts_of_a_video_one_of_which_has_no_frame(workspace: Workspace, tmp_path: Path) -> None:
    film = tmp_path / "withdrawal.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (96, 80))
    for pixels in np.random.default_rng(0).integers(0, 256, (3, 10, 12, 3), dtype=np.uint8):
        writer.write(cv2.resize(pixels, (96, 80)))
    writer.release()
    model = ("--model", "fpn")
    assert call(workspace, film, tmp_path / "whole", *model).exit_code == 0

    for k in SHARDS:
        part = call(workspace, film, tmp_path / "parts", *model, "--shard", f"{k}/4")
        assert part.exit_code == 0, part.output
    joined = call(workspace, film, tmp_path / "parts", *model, "--gather")

    assert joined.exit_code == 0, joined.output
    check_same(tmp_path / "parts", tmp_path / "whole")


def test_parts_that_are_not_whole_or_of_other_images(
    workspace: Workspace, images: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "frames", tmp_path / "masks"
    shutil.copytree(images, source)

    def by(model: str, *arguments: str) -> str:
        return call(workspace, source, out, "--model", model, *arguments).output

    assert "part 2/2" in by("fpn", "--shard", "2/2")
    assert "is there already" in by("fpn", "--shard", "2/2")
    assert "1-of-2: missing; run --shard 1/2" in by("fpn", "--gather")
    assert "part 1/2" in by("fpn", "--shard", "1/2")
    first, second = (out / ".harness-parts" / f"{k}-of-2" for k in (1, 2))
    next(first.glob("*.png")).unlink()
    assert "run --shard 1/2 again" in by("fpn", "--gather")

    changed = sorted(source.iterdir())[1]
    shutil.copy(max(source.iterdir()), changed)
    refused = by("unet++", "--gather", "--probabilities")
    assert f"{first}: made of other weights and maps;" in refused
    assert f"{second}: made of other weights and maps and frames;" in refused
    assert "only 3 images to divide" in by("fpn", "--shard", "1/99")
