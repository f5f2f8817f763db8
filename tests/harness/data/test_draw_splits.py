from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.draw_splits import DrawnSplits, draw_splits
from harness.data.layouts import to_catalogue
from harness.data.listing import FrameFiles
from harness.data.splits import assign, load_splits
from metrics.utils.errors import UserError


def frames(count: int, sequences: int = 0, *, split: str = "") -> list[FrameFiles]:
    """Frames; some number of sequences takes turns, or there are none."""
    made = []
    for number in range(count):
        sequence = f"s{number % sequences}" if sequences else ""
        name = f"{split}f[{number}]"
        made.append(
            FrameFiles(
                frame=f"{sequence or 'plain'}/{name}",
                name=name,
                dataset="plain",
                sequence=sequence,
                split=split,
                image=Path(f"{name}.png"),
                truth="mask",
            )
        )
    return made


def split_of(drawn: DrawnSplits, given: list[FrameFiles], folder: Path) -> dict[str, str]:
    """The split of each frame, once the file is written and read again."""
    path = folder / "splits.toml"
    path.write_text(drawn.text, encoding="utf-8")
    table = to_catalogue(given, [(1, 1)] * len(given)).assign(split="")
    table = assign(table, load_splits(path))
    return dict(zip(table["frame"], table["split"], strict=True))


def test_the_file_gives_every_frame_its_split(tmp_path: Path) -> None:
    given = frames(40)
    drawn = draw_splits(given, 3, with_test=True)
    splits = split_of(drawn, given, tmp_path)
    assert drawn.counts == {"train": 32, "val": 4, "test": 4}
    assert drawn.counts == {name: list(splits.values()).count(name) for name in drawn.counts}
    assert drawn.note.startswith("No sequences known: frames of one video or patient")


def test_the_seed_decides(tmp_path: Path) -> None:
    given = frames(40)
    first, again, other = (draw_splits(given, seed, with_test=False).text for seed in (1, 1, 2))
    assert first == again
    assert first.splitlines()[2:] != other.splitlines()[2:]


@pytest.mark.parametrize("sequences", [3, 12, 25])
def test_a_sequence_is_on_one_side_only(tmp_path: Path, sequences: int) -> None:
    given = frames(100, sequences)
    drawn = draw_splits(given, 0, with_test=True)
    splits = split_of(drawn, given, tmp_path)
    of_sequence = {(frame.sequence, splits[frame.frame]) for frame in given}
    assert len(of_sequence) == sequences
    assert {split for _, split in of_sequence} == {"train", "val", "test"}
    assert drawn.note == f"{sequences} sequences are left whole."


def test_a_long_sequence_is_trained_on() -> None:
    short = [frame for frame in frames(60, 6) if frame.sequence != "s0"]
    drawn = draw_splits([*frames(400, 1), *short], 0, with_test=True)
    assert drawn.counts == {"train": 430, "val": 10, "test": 10}


def test_some_frames_without_a_sequence_are_counted() -> None:
    drawn = draw_splits([*frames(20, 4), *frames(7)], 0, with_test=False)
    assert drawn.note.startswith("No sequence known of 7 frames")


def test_a_part_to_test_on_stays_as_the_folder_says(tmp_path: Path) -> None:
    given = [*frames(20, split="train"), *frames(5, split="test")]
    drawn = draw_splits(given, 0, with_test=True)
    splits = split_of(drawn, given, tmp_path)
    assert drawn.counts == {"train": 18, "val": 2, "test": 5}
    assert {frame.frame for frame in given if frame.split == "test"} == {
        name for name, split in splits.items() if split == "test"
    }


def test_too_few_sequences_are_refused() -> None:
    assert draw_splits(frames(50, 2), 0, with_test=False).counts["val"] == 25
    with pytest.raises(UserError, match="cannot divide 50 frames of 2 sequences"):
        draw_splits(frames(50, 2), 0, with_test=True)
