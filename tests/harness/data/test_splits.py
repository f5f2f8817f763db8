from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.data import splits
from metrics.utils.errors import FaultsError, UserError

PAPER = splits.load_splits()


def frames(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Frames of (centre, sequence, truth), named after their position."""
    return pd.DataFrame(
        [
            {
                "frame": f"{centre or sequence or 'hyperkvasir'}/{i}",
                "dataset": "endocv2021" if centre or sequence else "hyperkvasir",
                "centre": centre,
                "sequence": sequence,
                "test_set": "",
                "truth": truth,
                "split": "",
            }
            for i, (centre, sequence, truth) in enumerate(rows)
        ]
    )


def many() -> pd.DataFrame:
    """40 frames of C1, four negative sequences of 5, three sequences of 10, 5 of HyperKvasir."""
    rows = [("C1", "", "mask")] * 40
    rows += [("", f"seq{i}_neg", "empty") for i in (1, 2, 6, 7) for _ in range(5)]
    rows += [("", f"seq{i}", "mask") for i in (1, 2, 3) for _ in range(10)]
    rows += [("", "", "mask")] * 5
    return splits.assign(frames(*rows), PAPER)


@pytest.mark.parametrize(
    ("centre", "sequence", "split"),
    [
        ("C1", "", "train"), ("C5", "", "train"), ("C6", "", ""),
        ("", "seq5_neg", "train"), ("", "seq6_neg", "val"), ("", "seq10_neg", "val"),
        ("", "seq11_neg", ""), ("", "seq1", "val"), ("", "seq15", "val"), ("", "seq16", ""),
        ("", "", "test"),
    ],
)  # fmt: skip
def test_the_papers_splits(centre: str, sequence: str, split: str) -> None:
    assigned = splits.assign(frames((centre, sequence, "mask")), PAPER)
    assert assigned["split"].tolist() == [split]


def test_assigning_leaves_the_catalogue_as_it_was() -> None:
    before = frames(("C1", "", "mask"))
    splits.assign(before, PAPER)
    assert before["split"].tolist() == [""]


def test_what_is_in_no_split_is_counted_by_source() -> None:
    rows = [("C6", "", "mask")] * 2 + [("", "seq16", "mask"), ("C1", "", "mask")]
    assigned = splits.assign(frames(*rows), PAPER)
    assert splits.left_out(assigned, PAPER) == (
        "In no split of 'paper', and so not used: C6 (2), seq16 (1)."
    )
    assert splits.left_out(assigned[assigned["split"] != ""], PAPER) == ""


def test_names_that_fit_no_frame_are_told() -> None:
    table = frames(("C1", "", "mask"), ("C1", "", "mask")).assign(frame=["plain/a[1]", "plain/b"])
    asked = splits.Splits(
        name="own",
        train=splits.Rule(frames=("plain/a[[]1]", "plain/c*", "plain/[a-b]")),
        val=splits.Rule(sequences=("seq1",)),
    )
    assert splits.unmatched(table, asked) == (
        "Nothing fits these names of 'own': plain/c* (frames of train), seq1 (sequences of val)."
    )
    assert splits.unmatched(table, splits.OWN) == ""


def test_a_users_splits_with_patterns(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\nframes = ["C1/*"]\n[test]\ncentres = ["C[23]"]\n')
    mine = splits.load_splits(path)
    assert mine.name == "mine"
    rows = [("C1", "", "mask"), ("C2", "", "mask"), ("C4", "", "mask")]
    assert splits.assign(frames(*rows), mine)["split"].tolist() == ["train", "test", ""]


def test_patterns_may_spell_a_letter_in_two_ways(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\nsequences = ["caf\u0065\u0301*"]\n')
    found = splits.assign(frames(("", "caf\u00e91", "mask")), splits.load_splits(path))
    assert found["split"].tolist() == ["train"]


def test_splits_that_overlap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\ncentres = ["*"]\n[val]\ncentres = ["C2"]\n')
    with pytest.raises(FaultsError) as caught:
        splits.assign(frames(("C1", "", "mask"), ("C2", "", "mask")), splits.load_splits(path))
    assert [fault.path for fault in caught.value.faults] == ["C2/1"]


def test_every_fault_of_a_splits_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = 1\nvalid = 2\ntest = 3\n[train]\ncentre = ["C1"]\nsequences = "seq1"\n')
    with pytest.raises(FaultsError) as caught:
        splits.load_splits(path)
    text = " | ".join(fault.message for fault in caught.value.faults)
    assert len(caught.value.faults) == 5
    for part in (
        "name: expected text",
        "did you mean 'val'",
        "test: expected a table, got 3",
        "did you mean 'centres'",
    ):
        assert part in text
    assert "sequences: expected a list of names" in text


def test_a_file_without_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(FaultsError, match="no split"):
        splits.load_splits(tmp_path / "mine.toml")


@pytest.mark.parametrize(("content", "message"), [("[", "not TOML"), (None, "cannot read")])
def test_a_splits_file_that_cannot_be_read(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        splits.load_splits(path)


@pytest.mark.parametrize("count", [2, 5])
def test_folds_divide_what_is_not_test(count: int) -> None:
    catalogue = many()
    parts = splits.folds(catalogue, count, seed=3)
    assert len(parts) == count
    validated = [frame for part in parts for frame in part["frame"][part["split"] == "val"]]
    pool = catalogue["frame"][catalogue["split"] != "test"]
    assert sorted(validated) == sorted(pool)
    for part in parts:
        assert (part["split"] == "test").sum() == 5


def test_folds_keep_sequences_whole_and_kinds_even() -> None:
    for part in splits.folds(many(), 4, seed=1):
        in_sequence = part[part["sequence"] != ""]
        assert (in_sequence.groupby("sequence")["split"].nunique() == 1).all()
        held_out = part[part["split"] == "val"]
        # 70 frames with a polyp and 20 without, in sequences of up to 10: 17.5 and 5 a fold.
        assert 17 <= (held_out["truth"] == "mask").sum() <= 18
        assert (held_out["truth"] == "empty").sum() == 5


def test_folds_follow_their_seed() -> None:
    first, again, other = (splits.folds(many(), 2, seed)[0]["split"] for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("count", [1, 3])
def test_an_impossible_number_of_folds_is_refused(count: int) -> None:
    rows = [("", "seq1", "mask")] * 4 + [("C1", "", "mask")]
    with pytest.raises(UserError, match="expected 2 to 2"):
        splits.folds(splits.assign(frames(*rows), PAPER), count)


def test_leaving_a_centre_out() -> None:
    rows = [("C1", "", "mask"), ("C3", "", "mask"), ("", "seq1", "mask"), ("", "", "mask")]
    left = splits.leave_out(splits.assign(frames(*rows), PAPER), "C3")
    assert left["split"].tolist() == ["train", "test", "val", ""]


def test_leaving_out_a_centre_that_is_not_there() -> None:
    with pytest.raises(UserError, match="there are: C1, C2"):
        splits.leave_out(frames(("C2", "", "mask"), ("C1", "", "mask")), "C3")


def test_leaving_out_the_only_centre() -> None:
    with pytest.raises(UserError, match="nothing is left"):
        splits.leave_out(splits.assign(frames(("C1", "", "mask")), PAPER), "C1")
