from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from metrics.masks.bits import Bits
from metrics.masks.read import decode_bits, read_mask
from metrics.utils.errors import FaultsError, UserError
from submissions.ledger import Ledger
from submissions.scoring import score_package, score_rows
from submissions.truth import TruthError, find_truth
from submissions.writing.encoding import encode_mask
from submissions.writing.package import PackageWriter

S = 1e-15
MASK = "EndoCV2021/segmentation/EndoCV_DATA1_pred/a_0_mask.jpg"


def by_hand(package: Path, truth_folder: Path) -> dict[str, list[dict[str, float]]]:
    """The organisers' figures from the files alone, by their formulas, frame by frame."""
    figures: dict[str, list[dict[str, float]]] = {}
    with zipfile.ZipFile(package) as archive:
        for folder in sorted(truth_folder.iterdir()):
            rows = figures.setdefault(folder.name, [])
            for path in sorted(folder.iterdir()):
                g = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
                member = f"EndoCV2021/segmentation/{folder.name}_pred/{path.stem}.jpg"
                data = np.frombuffer(archive.read(member), np.uint8)
                p = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) > 0
                both = float((g & p).sum())
                ppv = (both + S) / (p.sum() + S)
                recall = (both + S) / (g.sum() + S)
                rows.append(
                    {
                        "f1": (2 * both + S) / (g.sum() + p.sum() + S),
                        "iou": (both + S) / (g.sum() + p.sum() - both + S),
                        "ppv": ppv,
                        "recall": recall,
                        "f2": 5 * ppv * recall / (4 * ppv + recall + S),
                    }
                )
    return figures


def test_every_figure_agrees_with_an_independent_computation(package, truth_folder) -> None:
    score = score_package(package, truth_folder)
    expected = by_hand(package, truth_folder)
    everything = [row for rows in expected.values() for row in rows]
    for test_set, rows in [*expected.items(), ("all", everything)]:
        (figures,) = score.figures[score.figures["test_set"] == test_set].to_dict("records")
        assert figures["n"] == len(rows)
        means = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
        deviations = {name: np.std([row[name] for row in rows]) for name in rows[0]}
        for name, mean in means.items():
            assert figures[name] == pytest.approx(mean, abs=1e-12), (test_set, name)
            assert figures[f"sd_{name}"] == pytest.approx(deviations[name], abs=1e-12)
        scored = ("f1", "f2", "ppv", "recall")
        assert figures["score"] == pytest.approx(np.mean([means[n] for n in scored]), abs=1e-12)
        assert figures["sd_frames"] == pytest.approx(
            np.mean([deviations[n] for n in scored]), abs=1e-12
        )
    overall = score.overall
    for name in ("f1", "iou", "ppv", "recall", "f2"):
        of_sets = [np.mean([row[name] for row in rows]) for rows in expected.values()]
        assert overall[f"{name}_sets"] == pytest.approx(np.mean(of_sets), abs=1e-12)
    scores = [np.mean([[row[n] for n in scored] for row in rows]) for rows in expected.values()]
    assert overall["score_sets"] == pytest.approx(np.mean(scores), abs=1e-12)
    assert overall["sd_sets"] == pytest.approx(np.std(scores), abs=1e-12)
    assert overall["score_sets"] != pytest.approx(overall["score"], abs=1e-3)
    for test_set, rows in expected.items():
        result = score.organisers[test_set]["EndoCV2021_seg"]
        assert result["dice"]["value"] == pytest.approx(np.mean([r["f1"] for r in rows]), abs=1e-12)
        assert result["typeIIerror"]["value"] == pytest.approx(
            np.mean([r["f2"] for r in rows]), abs=1e-12
        )
        assert "hausdorff_distance" in result


def test_the_frame_table_is_complete(package, truth_folder, sizes) -> None:
    table = score_package(package, truth_folder).frames
    assert len(table) == 10
    polyp = table[table["class"] == "polyp"].set_index("frame")
    assert list(polyp.index) == [f"{t}/{n}" for t, names in sizes.items() for n in names]
    counted = polyp[["tp", "fp", "fn", "tn"]].sum(axis=1)
    assert (counted == polyp["height"] * polyp["width"]).all()
    assert polyp.loc["EndoCV_DATA1/a_2", "latency_ms"] == 12.0
    assert polyp.loc["EndoCV_DATA1/a_2", ["tp", "fp", "fn"]].tolist() == [0, 0, 16]


def test_a_folder_scores_as_its_zip(package, truth_folder, tmp_path) -> None:
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "unpacked")
    zipped = score_package(package, truth_folder)
    unpacked = score_package(tmp_path / "unpacked", truth_folder)
    assert unpacked.figures.equals(zipped.figures)
    assert unpacked.package_sha256 != zipped.package_sha256


def test_a_missing_prediction_is_a_fault_and_never_skipped(entries, zipped, truth_folder) -> None:
    del entries[MASK]
    with pytest.raises(FaultsError) as caught:
        score_package(zipped(entries), truth_folder)
    assert MASK in [fault.path for fault in caught.value.faults]


def test_a_prediction_without_truth_is_a_fault(package, truth_folder) -> None:
    (truth_folder / "EndoCV_DATA1" / "a_1_mask.png").unlink()
    with pytest.raises(FaultsError, match="has no frame a_1"):
        score_package(package, truth_folder)


def test_a_frame_of_another_name_does_not_pair(entries, zipped, truth_folder) -> None:
    entries[MASK.replace("a_0", "a_00")] = entries.pop(MASK)
    with pytest.raises(FaultsError) as caught:
        score_package(zipped(entries), truth_folder)
    paths = {fault.path for fault in caught.value.faults}
    assert {MASK, MASK.replace("a_0", "a_00")} <= paths


def test_another_size_is_resized_officially_and_refused_strictly(
    entries, zipped, truth_folder
) -> None:
    small = np.zeros((20, 28), bool)
    small[4:9, 5:12] = True
    entries[MASK] = encode_mask(small).data
    path = zipped(entries)
    official = score_package(path, truth_folder)
    resized = cv2.resize(small.astype(np.uint8), (56, 40), interpolation=cv2.INTER_AREA) > 0
    truth_path = truth_folder / "EndoCV_DATA1" / "a_0_mask.png"
    truth = cv2.imread(str(truth_path), cv2.IMREAD_GRAYSCALE) > 0
    row = official.frames.query("frame == 'EndoCV_DATA1/a_0' and `class` == 'polyp'").iloc[0]
    assert row["tp"] == (truth & resized).sum()
    assert row["fp"] == (~truth & resized).sum()
    assert "1 mask of another size" in official.notes[0]
    with pytest.raises(FaultsError, match="28 x 20 pixels"):
        score_package(path, truth_folder, "strict")


def test_a_jpeg_is_read_by_each_protocol_in_its_own_way(
    entries, zipped, truth_folder, masks
) -> None:
    entries[MASK] = encode_mask(masks["EndoCV_DATA1"]["a_0"], "jpeg").data
    path = zipped(entries)
    grey = cv2.imdecode(np.frombuffer(entries[MASK], np.uint8), cv2.IMREAD_GRAYSCALE)
    for protocol, threshold in (("official", 0), ("strict", 127)):
        table = score_package(path, truth_folder, protocol).frames
        row = table.query("frame == 'EndoCV_DATA1/a_0' and `class` == 'polyp'").iloc[0]
        assert row["tp"] + row["fp"] == (grey > threshold).sum()


def test_strict_leaves_undefined_figures_out(package, truth_folder) -> None:
    strict = score_package(package, truth_folder, "strict")
    assert strict.overall["left_out_ppv"] == 1  # a_2 has an empty prediction
    assert strict.organisers == {}
    assert "hausdorff_rows" not in strict.frames


def test_the_round_decides_which_test_sets_are_wanted(package, truth_folder) -> None:
    shutil.rmtree(truth_folder / "EndoCV_DATA2")
    with pytest.raises(FaultsError, match="EndoCV_DATA2_pred"):
        score_package(package, truth_folder)
    with pytest.raises(FaultsError, match="the test set's folder is missing"):
        find_truth(truth_folder, ["EndoCV_DATA1", "EndoCV_DATA2"])


def test_every_fault_of_the_truth_is_named_at_once(truth_folder) -> None:
    first = truth_folder / "EndoCV_DATA1"
    shutil.copy(first / "a_0_mask.png", first / "a_0.png")
    shutil.copy(first / "a_0_mask.png", first / "a_1_mask.tif")
    (truth_folder / "EndoCV_DATA3").mkdir()
    with pytest.raises(FaultsError) as caught:
        find_truth(truth_folder)
    assert {Path(fault.path).name for fault in caught.value.faults} == {
        "a_0.png",
        "a_1_mask.tif",
        "EndoCV_DATA3",
    }


def test_every_truth_mask_that_would_be_misread_is_named_before_anything_is_scored(
    truth_folder,
) -> None:
    first = truth_folder / "EndoCV_DATA1"
    grey = cv2.imread(str(first / "a_0_mask.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(first / "a_0_mask.png"), grey // 255)
    cv2.imwrite(str(first / "a_1_mask.png"), grey.astype(np.uint16))
    cut_out = np.dstack([np.full((*grey.shape, 3), 255, np.uint8), grey])
    cv2.imwrite(str(first / "a_2_mask.png"), cut_out)
    with pytest.raises(TruthError) as caught:
        find_truth(truth_folder)
    said = sorted(str(fault) for fault in caught.value.faults)
    for text, name, problem in zip(
        said, ("a_0", "a_1", "a_2"), ("values 0 and 1", "uint16", "alpha"), strict=True
    ):
        assert f"{name}_mask.png: expected" in text
        assert problem in text


def test_a_test_set_without_any_polyp_is_said(package, truth_folder) -> None:
    for path in (truth_folder / "EndoCV_DATA2").iterdir():
        cv2.imwrite(str(path), np.zeros((64, 30), np.uint8))
    (note,) = score_package(package, truth_folder).notes
    assert note.startswith("the truth of EndoCV_DATA2 holds no polyp at all")


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_truth_is_refused(tmp_path, folder) -> None:
    with pytest.raises(UserError, match="--truth"):
        find_truth(tmp_path / folder)


def test_the_truths_fingerprint_tells_truths_apart(truth_folder) -> None:
    before = find_truth(truth_folder)
    assert before.frames == 5
    path = truth_folder / "EndoCV_DATA1" / "a_0_mask.png"
    cv2.imwrite(str(path), np.zeros((40, 56), np.uint8))
    assert find_truth(truth_folder).sha256 != before.sha256


def test_a_better_mask_scores_better(tmp_path, masks, truth_folder, package) -> None:
    path = tmp_path / "perfect.zip"
    with PackageWriter(path) as writer:
        for test_set, names in masks.items():
            for name in names:
                truth = truth_folder / test_set / f"{name}_mask.png"
                mask = cv2.imread(str(truth), cv2.IMREAD_GRAYSCALE) > 0
                writer.add(test_set=test_set, name=name, mask=mask, latency_ms=1.0)
    perfect = score_package(path, truth_folder)
    assert perfect.overall["score"] == pytest.approx(1)
    assert score_package(package, truth_folder).overall["score"] < 0.9


def test_a_score_goes_into_the_ledger_and_comes_out(package, truth_folder, tmp_path) -> None:
    score = score_package(package, truth_folder)
    ledger = Ledger(tmp_path)
    ledger.enter_scores(score_rows(score, round_name="2", team="we"))
    rows = ledger.scores(test_set=None)
    assert set(rows["test_set"]) == {"EndoCV_DATA1", "EndoCV_DATA2", "all"}
    (overall,) = ledger.scores().to_dict("records")
    assert overall["score"] == score.overall["score"]
    assert overall["score_sets"] == score.overall["score_sets"]
    assert overall["sd_sets"] == score.overall["sd_sets"]
    assert overall["latency_ms"] == pytest.approx(10.8)
    assert (overall["round"], overall["team"], overall["model"]) == ("2", "we", "package")


def test_hausdorff_may_be_left_out(package, truth_folder) -> None:
    score = score_package(package, truth_folder, hausdorff=False)
    assert "hausdorff_distance" not in score.organisers["EndoCV_DATA1"]["EndoCV2021_seg"]
    assert "hausdorff_rows" not in score.frames


def test_a_truth_of_jpegs_is_noted_by_the_official_protocol(package, truth_folder) -> None:
    path = truth_folder / "EndoCV_DATA1" / "a_0_mask.png"
    cv2.imwrite(str(path.with_suffix(".jpg")), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    path.unlink()
    assert "1 true mask is a JPEG" in score_package(package, truth_folder).notes[0]
    assert score_package(package, truth_folder, "strict").notes == ()


@pytest.mark.parametrize("protocol", ["official", "strict"])
def test_a_true_mask_is_decoded_once(protocol, package, truth_folder, monkeypatch) -> None:
    decoded: list[str] = []

    def counted(data: bytes, **options: str) -> Bits:
        decoded.append(options["name"])
        return decode_bits(data, **options)

    monkeypatch.setattr("submissions.truth.decode_bits", counted)
    score = score_package(package, truth_folder, protocol)
    assert len(decoded) == len(set(decoded)) == score.overall["n"]


def test_a_truth_read_by_another_protocol_is_refused(package, truth_folder) -> None:
    with pytest.raises(ValueError, match="by the official protocol, not strict"):
        score_package(package, find_truth(truth_folder), "strict")


@pytest.mark.parametrize("protocol", ["official", "strict"])
@pytest.mark.parametrize("kept_bytes", [1 << 20, 0])
def test_a_truth_mask_is_the_same_however_often_it_is_asked_for(
    kept_bytes, protocol, truth_folder, monkeypatch
) -> None:
    monkeypatch.setattr("submissions.truth._KEPT_BYTES", kept_bytes)
    truth = find_truth(truth_folder, protocol=protocol)
    for test_set, names in truth.masks.items():
        for name, path in names.items():
            for _ in range(2):
                bits, expected = (
                    truth.bits(test_set, name),
                    decode_bits(path.read_bytes(), protocol=protocol),
                )
                assert bits.shape == expected.shape
                np.testing.assert_array_equal(bits.words, expected.words)
                mask = read_mask(path, protocol=protocol)
                np.testing.assert_array_equal(bits.unpacked(), mask)
    assert bool(truth._kept) == bool(kept_bytes)
