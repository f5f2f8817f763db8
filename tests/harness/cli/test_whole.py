"""The main job through the command line: train, measure, submit, score, rank, on drawn frames."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.data.synthetic.dataset import Synthetic, write_dataset
from harness.report.tables.view import title_of
from harness.runs.run import Run
from harness.runs.select import select
from harness.runs.workspace import Workspace
from harness.training import train_run as training_run
from metrics.utils.errors import UserError

SMALL = (
    *("--preset", "demo", "--epochs", "1", "--size", "32"),
    *("--encoder", "tu-test_resnet", "--encoder-weights", "none", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with drawn frames, settings, six networks of one epoch, and their ensemble."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # What is set up once for the module is set up before each test forgets these.
        for name in [name for name in os.environ if name.startswith("HARNESS_")]:
            patch.delenv(name)
        drawn = draw(folder)
        settings = (
            f"endocv = {str(drawn.endocv)!r}\nhyperkvasir = {str(drawn.hyperkvasir)!r}\n"
            f"test_frames = {str(drawn.test_frames)!r}\n"
        )
        Path("harness.toml").write_text(settings.replace("'", '"'))
        succeeds("train", *SMALL)
        yield folder


def draw(folder: Path) -> Synthetic:
    return write_dataset(folder / "drawn", frames=60, height=64)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def succeeds(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def table(*arguments: str) -> pd.DataFrame:
    return pd.DataFrame(json.loads(succeeds(*arguments, "--format", "json"))["rows"])


def test_all_six_networks_and_their_ensemble_are_registered(place: Path) -> None:
    runs = {run.model: run for run in Workspace(place / "workspace").runs(status="finished")}

    assert list(reversed(runs)) == [
        "unet",
        "unet++",
        "fpn",
        "deeplabv3",
        "deeplabv3+",
        "triunet",
        "divergentnets",
    ]
    assert set(runs["divergentnets"].members.values()) == {
        runs[name].run for name in ("unet++", "fpn", "deeplabv3", "deeplabv3+", "triunet")
    }
    for run in runs.values():
        described = json.loads((run.folder / "run.json").read_text())
        assert described["versions"]
        assert described["data"]
        assert described["checkpoint"]
        for settings in run.settings.get("members", {"": run.settings}).values():
            assert settings["precision"] in ("fp32", "bf16")  # not auto: what was done


@pytest.mark.parametrize("split", ["val", "test"])
def test_figures_are_those_of_the_masks_that_were_kept(place: Path, split: str) -> None:
    rows = table("evaluate", "--split", split, "--model", "unet", "--model", "divergentnets")

    ours = rows[~rows["paper"].astype(bool)].set_index(["model", "class"])
    assert ours.index.nunique() == 6
    for model in ("unet", "divergentnets"):
        (run,) = select(Workspace(place / "workspace"), [model])
        frames = pd.read_parquet(run.evaluation(split) / "frames.parquet")
        expected = independent_f1(place, run.evaluation(split) / "masks", frames)
        assert ours.loc[(model, "polyp"), "f1"] == pytest.approx(expected, abs=1e-12)
        assert ours.loc[(model, "polyp"), "n"] == frames["frame"].nunique()


def independent_f1(place: Path, masks: Path, frames: pd.DataFrame) -> float:
    """Dice from the files alone, with NumPy: truth by the name of the frame, binarised at 127."""
    values = []
    for frame in frames["frame"].unique():
        predicted = cv2.imread(str(masks / f"{frame}.png"), cv2.IMREAD_UNCHANGED) > 127
        name = Path(frame).name
        found = [*place.glob(f"drawn/**/masks_seq*/{name}_mask.jpg")]
        found += place.glob(f"drawn/hyperkvasir/**/masks/{name}.jpg")
        truth = np.zeros_like(predicted)
        if found:
            truth = cv2.imread(str(found[0]), cv2.IMREAD_GRAYSCALE) > 127
        both = int((predicted & truth).sum())
        total = int(predicted.sum()) + int(truth.sum())
        values.append(1.0 if total == 0 else 2 * both / total)
    return float(np.mean(values))


def test_an_evaluation_is_kept_and_found_again(place: Path) -> None:
    succeeds("evaluate", "--split", "test", "--model", "unet")

    again = call("evaluate", "--split", "test", "--model", "unet")

    assert "evaluated before" in again.stderr


def test_the_text_form_shows_the_papers_row_and_every_class(place: Path) -> None:
    text = succeeds("evaluate", "--split", "test", "--model", "fpn")

    for part in ("polyp", "background", "all classes (micro)", "by centre", "paper †", "Table 3"):
        assert part in text


def test_a_round_is_submitted_scored_and_ranked(place: Path) -> None:
    shutil.rmtree(place / "workspace/submissions", ignore_errors=True)
    first = call("submit", "--round", "2", "--model", "unet")
    assert first.exit_code == 0
    assert "1 of 2 left" in first.stderr
    package = next((place / "workspace/submissions/round-2").glob("unet-*.zip"))
    with zipfile.ZipFile(package) as archive:
        masks = [name for name in archive.namelist() if name.endswith("_mask.jpg")]
        frames = list((place / "drawn/endocv2021-test").glob("EndoCV_DATA*/*.jpg"))
        assert len(masks) == len(frames)
        for name in masks:
            mask = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            folder, stem = name.split("/")[2:]
            frame = place / "drawn/endocv2021-test" / folder.removesuffix("_pred")
            size = cv2.imread(str(frame / stem.replace("_mask", ""))).shape[:2]
            assert mask.shape == size
            assert set(np.unique(mask)) <= {0, 255}
    assert succeeds("validate", str(package), "--round", "2") is not None

    scores = table("score", str(package), "--truth", "drawn/truth")
    leaders = table("leaderboard", "--round", "2")

    assert leaders.iloc[0]["model"] == "unet"
    overall = scores[scores["test_set"] == "all"].iloc[0]
    assert leaders.iloc[0]["score"] == pytest.approx(overall["score"], abs=1e-12)
    assert list(leaders[leaders["source"] == "paper"]["score"]) == [0.823, 0.796]

    succeeds("submit", "--round", "2")
    third = call("submit", "--round", "2")
    assert third.exit_code == 1
    assert "0 of them are left" in third.output


def test_any_folder_of_images_can_be_predicted(place: Path) -> None:
    source = place / "drawn/endocv2021-test/EndoCV_DATA1"

    succeeds("predict", str(source), "--out", "masks", "--model", "fpn")

    images = sorted(path.stem for path in source.glob("*.jpg"))
    assert sorted(path.stem for path in (place / "masks").glob("*.png")) == images
    assert list(pd.read_csv(place / "masks/predictions.csv")["image"]) == [
        f"{name}.jpg" for name in sorted(images, key=lambda n: int(n.rsplit("_", 1)[1]))
    ]


def test_uncertainty_goes_with_the_masks_of_an_ensemble(place: Path) -> None:
    source = next(iter(sorted(place.glob("drawn/endocv2021-test/EndoCV_DATA*"))))
    succeeds("predict", str(source), "--out", "plain")
    result = call("predict", str(source), "--out", "unsure", "--uncertainty")
    assert "disagree" in result.stderr

    table = pd.read_csv("unsure/predictions.csv").set_index("image")
    assert table["disagreement"].between(0, 1).all()
    for image in source.glob("*.jpg"):
        name = f"{image.stem}.png"
        assert Path("plain", name).read_bytes() == Path("unsure", name).read_bytes()
        pixels = cv2.imread(f"unsure/uncertainty/{name}", cv2.IMREAD_UNCHANGED)
        assert pixels.mean() / 510 == pytest.approx(
            table.loc[image.name, "mean_deviation"], abs=2e-3
        )

    single = call("predict", str(source), "--out", "no", "--model", "fpn", "--uncertainty")
    assert single.exit_code == 1
    assert "--model divergentnets" in single.output


def test_a_centre_left_out_is_what_is_tested(place: Path) -> None:
    succeeds("train", *SMALL, "--model", "fpn", "--leave-out", "C3")

    rows = table("evaluate", "--split", "test", "--leave-out", "C3")

    in_centre = len(list((place / "drawn/endocv2021/data_C3/images_C3").iterdir()))
    assert set(rows["model"]) == {"fpn"}
    assert (rows["n"] == in_centre).all()
    # The runs on the splits as they are stay the ones that are taken without the option.
    assert table("evaluate", "--split", "val", "--model", "fpn")["n"].iloc[0] != in_centre


def test_folds_are_measured_together(place: Path) -> None:
    succeeds("train", *SMALL, "--model", "fpn", "--folds", "2")

    rows = table("evaluate", "--split", "val", "--folds", "2")

    polyp = rows[rows["class"] == "polyp"].iloc[0]
    train_and_val = json.loads(succeeds("data", "check", "--format", "json"))
    pool = sum(
        len(list(place.glob(f"drawn/endocv2021/{pattern}")))
        for pattern in ("data_C*/images_C*/*.jpg", "sequenceData/*/seq*/images_seq*/*.jpg",
                        "sequenceData/negativeOnly/seq*/*.jpg")
    )  # fmt: skip
    assert train_and_val
    assert polyp["n"] == pool


def test_runs_are_listed_shown_and_removed(place: Path) -> None:
    succeeds("train", *SMALL, "--model", "trinet", "--nodes", "unet,fpn,fpn")
    rows = table("runs")
    run = rows.iloc[0]["run"]
    assert run.startswith("trinet-")

    shown = succeeds("runs", "show", run)
    assert "nodes: ['unet', 'fpn', 'fpn']" in shown
    assert "IoU" in shown
    told = json.loads(succeeds("runs", "show", run, "--format", "json"))
    assert told["settings"]["nodes"] == ["unet", "fpn", "fpn"]
    assert len(told["history"]) == 1
    succeeds("runs", "rm", run, "--yes")

    assert run not in set(table("runs")["run"])
    assert not (place / "workspace/runs" / run).exists()


@pytest.fixture(scope="module")
def page(place: Path) -> Path:
    succeeds("evaluate", "--split", "test")
    succeeds("report", "--split", "test", "--out", "a page.html")
    return place / "a page.html"


def test_the_page_holds_everything_by_itself(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    for name in (
        "U-Net++",
        "DivergentNets",
        "Ranking",
        "Does disagreement predict errors?",
        "Training",
    ):
        assert name in html
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#|data:)', own)
    assert "url(" not in own
    frames = table("evaluate", "--split", "test", "--table", "frames")
    assert html.count('<article class="card"') == frames["frame"].nunique()
    f1 = frames.query("`class` == 'polyp' and model == 'divergentnets'").set_index("frame")["f1"]
    found = re.search(r'id="entries">(.*?)</script>', html)
    assert found
    shown = {entry["frame"]: entry["f1"][-1] for entry in json.loads(found[1])}
    assert shown == pytest.approx(f1.to_dict())


def test_a_round_has_a_page_of_its_packages(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "rounds.toml").write_text("[rounds.wide]\ndaily_limit = 50\n")
    monkeypatch.setenv("HARNESS_ROUNDS", str(place / "rounds.toml"))
    nothing = call("report", "--round", "wide")
    assert nothing.exit_code == 1
    assert "harness score" in nothing.output
    for model in ("fpn", "triunet", "divergentnets"):
        succeeds("submit", "--round", "wide", "--model", model)
    packages = "workspace/submissions/round-wide"
    scored = succeeds("score", packages, "--truth", "drawn/truth", "--format", "json")
    unknown = call("report", "--round", "wide", "--model", "unet")
    assert unknown.exit_code == 1
    assert "no scored package of unet in round wide; there are: " in unknown.output
    succeeds("report", "--round", "wide", "--team-pages")

    html = (place / "workspace/report-round-wide.html").read_text(encoding="utf-8")
    scores = {row["package"]: row["score"] for row in json.loads(scored)["rows"]}
    for name, score in scores.items():
        title = rf"(<a [^>]*>)?{re.escape(title_of(name))}(</a>)?"
        assert re.search(rf"<td[^>]*>{title}</td>\s*<td[^>]*>{score:.3f} ", html)
    frames = len(list(place.glob("drawn/endocv2021-test/EndoCV_DATA*/*.jpg")))
    assert html.count('<article class="card"') == frames
    assert "Does disagreement predict errors?" in html
    pages = sorted((place / "workspace/report-round-wide-models").glob("*.html"))
    assert len(pages) == 3
    assert all(f'href="report-round-wide-models/{page.name}"' in html for page in pages)
    assert any('<path class="mask" d="M' in page.read_text(encoding="utf-8") for page in pages)

    (place / "drawn/truth").rename(place / "drawn/elsewhere")
    result = call("report", "--round", "wide")
    assert result.exit_code == 0
    assert "without pictures" in result.stderr
    succeeds("report", "--round", "wide", "--truth", "drawn/elsewhere")
    (place / "drawn/elsewhere").rename(place / "drawn/truth")


@pytest.mark.parametrize("arguments", [("--split", "val", "--round", "1"), ("--truth", "drawn")])
def test_options_of_two_pages_are_not_mixed(place: Path, arguments: tuple[str, ...]) -> None:
    del place
    assert call("report", *arguments).exit_code == 2


def test_a_split_that_nobody_measured_has_no_page(place: Path, tmp_path: Path) -> None:
    workspace = ("--workspace", str(tmp_path))
    succeeds("train", *SMALL, "--model", "unet", *workspace)
    result = call("report", *workspace)
    assert result.exit_code == 1
    assert "harness evaluate --split test" in result.output


def test_resume_goes_on_with_the_rest(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = ("--workspace", str(tmp_path))
    train = training_run.train

    def fail_the_second(*arguments: Any, **options: Any) -> Run:
        if arguments[1].model == "fpn":
            raise UserError("no space is left")
        return train(*arguments, **options)

    monkeypatch.setattr(training_run, "train", fail_the_second)
    names = ("--model", "unet", "--model", "fpn")
    result = call("train", *SMALL, *names, "--jobs", "1", *workspace)
    assert result.exit_code == 1
    monkeypatch.undo()

    succeeds("train", "--resume", *workspace)

    runs = Workspace(tmp_path).runs()
    assert sorted((run.model, run.status) for run in runs) == [
        ("fpn", "finished"),
        ("unet", "finished"),
    ]
    assert list((tmp_path / "plans").iterdir()) == []
    assert "Nothing to go on with" in call("train", "--resume", *workspace).stderr


def test_networks_train_side_by_side_and_the_ensemble_follows(place: Path) -> None:
    wanted = ("unet", "fpn", "divergentnets")
    names = [word for name in wanted for word in ("--model", name)]
    result = call("train", *SMALL, *names, "--jobs", "2")

    assert result.exit_code == 0, result.output
    runs = Workspace(place / "workspace").runs()
    assert (runs[0].model, {run.model for run in runs[1:3]}) == ("divergentnets", {"unet", "fpn"})
    assert all(run.status == "finished" for run in runs[:3])
    fpn = next(run.run for run in runs[1:3] if run.model == "fpn")
    assert runs[0].members["fpn"] == fpn
    assert "fpn: epoch 1/1" in result.stderr
    assert list((place / "workspace/plans").iterdir()) == []


def test_with_nothing_unfinished_resume_says_so(place: Path) -> None:
    result = call("train", "--resume")

    assert result.exit_code == 0
    assert "Nothing to go on with" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--model", "unett"), "did you mean"),
        (("train", "--preset", "demo", "--encoder", "resnet19", "--model", "unet"), "resnet18"),
        (("train", "--preset", "demo", "--model", "unet", "--size", "100"), "multiple of 32"),
        (("train", "--preset", "demo", "--model", "unet", "--leave-out", "C9"), "C9"),
        (("train", "--preset", "demo", "--model", "unet", "--device", "cuda:7"), "no device"),
        (("train", "--resume", "nowhere"), "no run 'nowhere'"),
        (("evaluate", "--split", "test", "--model", "triunet++"), "no finished run of triunet++"),
        (("evaluate", "--split", "test", "--run", "nowhere"), "no run 'nowhere'"),
        (("submit", "--round", "7"), "no round '7'"),
        (("predict", "drawn", "--out", "masks"), "no images in drawn itself"),
    ],
)
def test_what_cannot_be_done_is_said(place: Path, arguments: tuple[str, ...], message: str) -> None:
    del place
    result = call(*arguments)

    assert result.exit_code in (1, 2)
    assert message in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("evaluate", "--split", "val"),
        ("evaluate", "--split", "test"),
        ("submit", "--round", "1"),
        ("leaderboard",),
    ],
)
def test_without_settings_each_command_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)

    result = call(*arguments)

    assert result.exit_code == 1
    assert "harness demo" in result.output


def test_a_workspace_that_cannot_be_written_is_said(place: Path) -> None:
    (place / "taken").write_text("")

    result = call("train", *SMALL, "--model", "unet", "--workspace", "taken")

    assert result.exit_code == 1
    assert "cannot write in" in result.output


def test_a_frame_cut_short_is_named_before_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "endocv2021"
    shutil.copytree(place / "drawn/endocv2021", broken)
    frame = next(broken.glob("data_C1/images_C1/*.jpg"))
    frame.write_bytes(frame.read_bytes()[:-200])

    result = call("train", *SMALL, "--model", "unet", "--endocv", str(broken))

    assert result.exit_code == 1
    assert frame.name in result.output


def test_the_papers_table_stands_beside_ours(place: Path) -> None:
    rows = table("evaluate", "--split", "test", "--table", "paper")

    unet = rows[rows["model"] == "unet"].set_index("kind")
    assert unet.loc["paper", "polyp_iou"] == 0.823
    assert unet.loc["difference", "polyp_iou"] == pytest.approx(
        unet.loc["ours", "polyp_iou"] - 0.823
    )
    assert list(rows[rows["kind"] == "ours"]["title"]) == [
        "U-Net",
        "U-Net++",
        "FPN",
        "DeepLabv3",
        "DeepLabv3+",
        "TriUNet",
        "DivergentNets",
    ]
    latex = succeeds("evaluate", "--split", "test", "--table", "paper", "--format", "latex")
    assert r"\toprule" in latex
    assert r"\textbf{" in latex
    assert "misprint" in latex


def test_protocols_differ_where_they_should(place: Path) -> None:
    rows = {}
    for protocol in ("paper", "official", "strict"):
        found = table("evaluate", "--split", "val", "--model", "unet", "--protocol", protocol)
        rows[protocol] = found[~found["paper"].astype(bool)].set_index("class").loc["polyp"]

    # Frames without a polyp have no recall under strict; under the others it is 1.
    assert rows["strict"]["left_out_recall"] > 0
    assert rows["paper"]["left_out_recall"] == rows["official"]["left_out_recall"] == 0
    # The rim of the JPEG truth is polyp above 0, so there is more of it to recall.
    assert rows["official"]["recall"] != rows["paper"]["recall"]


def test_the_further_figures_are_shown(place: Path) -> None:
    text = succeeds("evaluate", "--split", "val", "--model", "unet", "--table", "more")

    for part in ("HD95 px", "NSD 2 px", "Polyps found", "Frame spec.", "small"):
        assert part in text
    more = succeeds("evaluate", "--split", "val", "--table", "more", "--format", "json")
    assert len(json.loads(more)) == 3
    frames = table("evaluate", "--split", "val", "--model", "unet", "--table", "frames")
    assert {"frame", "class", "tp", "f1", "hd95_px", "polyps"} <= set(frames.columns)
    assert len(frames) == 2 * frames["frame"].nunique()


def test_generalisation_between_splits_and_sequences(place: Path) -> None:
    both = ("evaluate", "--split", "val", "--split", "test", "--model", "unet")
    rows = table(*both, "--table", "generalisation").set_index(["reference", "other"])
    means = {}
    for split in ("val", "test"):
        found = table("evaluate", "--split", split, "--model", "unet")
        means[split] = found[~found["paper"].astype(bool)].set_index("class").loc["polyp"]
    assert set(rows.index) == {("val", "test"), ("test", "val")}
    for figure in ("f1", "recall", "ppv"):
        gap = means["val"][figure] - means["test"][figure]
        assert rows.loc[("val", "test"), f"gap_{figure}"] == pytest.approx(gap)

    one = ("evaluate", "--split", "val", "--table", "generalisation", "--model", "unet")
    pair = table(*one, "--by", "sequence", "--from", "seq1", "--to", "seq2")
    assert pair[["reference", "other"]].to_numpy().tolist() == [["seq1", "seq2"]]
    refused = call(*one, "--from", "seq77")
    assert refused.exit_code == 1
    assert "no sequence 'seq77' here; there are seq1" in refused.output


def test_strict_prints_how_many_frames_it_left_out(place: Path) -> None:
    left_out = table("evaluate", "--split", "val", "--model", "unet", "--protocol", "strict")
    polyp = left_out[~left_out["paper"].astype(bool)].set_index("class").loc["polyp"]
    text = succeeds("evaluate", "--split", "val", "--model", "unet", "--protocol", "strict")
    heading, _, row = text.splitlines()[2:5]
    assert heading.split("  ")[-1].strip() == "Recall undef."
    assert row.split()[-1] == str(int(polyp["left_out_recall"])) != "0"
    assert "left out of its mean" in text
    assert "undef" not in succeeds("evaluate", "--split", "val", "--model", "unet")


def test_the_organisers_hausdorff_figures_come_with_a_warning(place: Path) -> None:
    one = ("evaluate", "--split", "val", "--model", "unet", "--table", "contours")
    official = succeeds(*one, "--protocol", "official")
    assert "hausdorff_distance_nonNorm" in official
    assert "they are not distances" in official
    assert "hausdorff_distance" not in succeeds(*one, "--protocol", "strict")


def test_models_are_compared_in_pairs(place: Path) -> None:
    succeeds("evaluate", "--split", "test")

    text = succeeds("compare", "divergentnets", "unet", "--resamples", "200")
    rows = table("compare", "divergentnets", "--resamples", "200", "--figure", "f1")

    assert "interval" in text.splitlines()[-1]
    assert len(rows) == 6
    assert rows["p_holm"].between(0, 1).all()
    assert (rows["low"] <= rows["difference"]).all()
    assert (rows["difference"] <= rows["high"]).all()
    refused = call("compare", "divergentnets", "nothing")
    assert refused.exit_code == 1
    assert "no evaluation of 'nothing'" in refused.output


def test_models_are_compared_by_the_organisers_reading(place: Path) -> None:
    pair = ("compare", "fpn", "unet", "--split", "val", "--figure", "f1", "--resamples", "200")
    measure = ("evaluate", "--split", "val", "--model", "unet", "--model", "fpn")
    succeeds(*measure)
    for official in place.glob("workspace/runs/*/evaluations/val/frames-official.parquet"):
        official.unlink()
    refused = call(*pair, "--protocol", "official")
    assert refused.exit_code == 1
    assert "harness evaluate --split val --protocol official --model fpn" in refused.output

    frames = table(*measure, "--protocol", "official", "--table", "frames")
    (row,) = table(*pair, "--protocol", "official").to_dict("records")

    f1 = frames[frames["class"] == "polyp"].groupby("model")["f1"].mean()
    assert row["difference"] == pytest.approx(f1["fpn"] - f1["unet"], abs=1e-9)
    (papers,) = table(*pair).to_dict("records")  # which reads the rims of JPEGs otherwise
    assert papers["difference"] != pytest.approx(row["difference"], abs=1e-9)


def test_the_leaderboard_says_how_certain_its_ranks_are(place: Path) -> None:
    shutil.rmtree(place / "workspace/submissions", ignore_errors=True)
    for model in ("fpn", "triunet"):
        succeeds("submit", "--round", "1", "--model", model)
    succeeds("score", "workspace/submissions/round-1", "--truth", "drawn/truth")

    ranks = table("leaderboard", "--round", "1", "--table", "ranks")
    paper = succeeds("leaderboard", "--round", "1", "--table", "paper", "--format", "markdown")

    assert set(ranks["model"]) == {"fpn", "triunet"}
    assert ranks["p_first"].sum() == pytest.approx(1)
    assert "Table 4" in paper
    assert "0.925" in paper
    assert "difference" in paper


def test_evaluations_are_ranked_where_nothing_is_scored(place: Path) -> None:
    succeeds("evaluate", "--split", "val", "--model", "unet", "--model", "fpn")

    rows = table("leaderboard", "--split", "val")

    assert {"unet", "fpn"} <= set(rows["model"])
    assert list(rows["score"]) == sorted(rows["score"], reverse=True)
    ranks = table("leaderboard", "--split", "val", "--table", "ranks")
    assert list(ranks["estimate"]) == pytest.approx(list(rows["score"]))
    assert ranks["p_first"].sum() == pytest.approx(1)
    refused = call("leaderboard", "--split", "val", "--table", "paper")
    assert refused.exit_code == 1
    assert "evaluate --table paper" in refused.output
