"""``harness predict``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import inference_options, map_options, shard_options, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from metrics.utils.errors import FaultsError, UserError
from metrics.utils.names import clashes, counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.inference.maps import MapOptions
    from harness.inference.predict_source import SourcePrediction
    from harness.inference.prediction import Inference
    from harness.inference.sources import Sources
    from harness.inference.video import Video
    from harness.runs.network import Loaded
    from harness.runs.run import Run
    from harness.runs.workspace import Workspace
    from harness.utils.outputs import Outputs
    from harness.utils.parts import Shard

EPILOG = """\b
Examples:
  harness predict frames/ --out masks/
  harness predict frames/ --out masks/ --model unet --device cuda
  harness predict frames/ --out masks/ --uncertainty
  harness predict frames/ --out masks/ --probabilities --maps full
  harness predict frames/ --out masks/ --risk 0.1
  harness predict frames/ --out masks/ --recursive --keep-going
  harness predict colonoscopy.mp4 --out masks/
  harness predict frames/ --out masks/ --shard 2/4  # and 1/4, 3/4, 4/4, on any machines
  harness predict frames/ --out masks/ --gather
"""


@click.command(cls=Command, epilog=EPILOG, headings={"shard": "Prediction"})
@click.argument("source", type=UserPath(exists=True))
@click.option(
    "--out", type=UserPath(), required=True, metavar="DIR", help="Where masks go, as NAME.png."
)
@click.option(
    "--model",
    "name",
    metavar="NAME",
    help="The model; by default DivergentNets, else the best on validation.",
)
@click.option("--run", "run_name", metavar="RUN", help="A run instead of a model.")
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Also write where the members of an ensemble disagree, as OUT/uncertainty/NAME.png.",
)
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Choose the threshold so that the expected share of missed pixels of the class is at most "
    "R, by the sequences of the validation split.",
)
@click.option("--calibrated", is_flag=True, help="Write maps after the run's temperature.")
@click.option("--recursive", is_flag=True, help="Also images in sub-folders; masks keep the paths.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Predict the other images where some cannot be read; the exit status is 1 all the same.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files in OUT that the harness did not write; never those of SOURCE.",
)
@shard_options()
@map_options()
@inference_options()
@with_settings("workspace")
def command(
    settings: Settings,
    source: Path,
    out: Path,
    name: str | None,
    run_name: str | None,
    uncertainty: bool,
    recursive: bool,
    keep_going: bool,
    overwrite: bool,
    risk: float | None,
    calibrated: bool,
    inference: Inference,
    maps: MapOptions | None,
    shard: Shard | None,
    gather: bool,
) -> None:
    """Write a mask for each image in SOURCE: 0 and 255, at the image's own size.

    SOURCE is an image (JPEG, PNG, TIFF or BMP, by itself also WebP or GIF), a folder of images or a
    video; each frame of a video gets a mask, NAME_000001.png, and NAME_overlay.mp4 shows the
    outlines. predictions.csv, beside the masks, has each image's share of each class and its time
    in milliseconds. With --uncertainty it also has how much the members of the ensemble disagree,
    from 0 to 1: the more, the less reliable the mask. With several classes the masks hold the
    classes' own values. With --probabilities each class's probabilities go into OUT/probabilities,
    where maps.json says what the grey values mean.

    Orientation tags are not followed, as in training. What is passed over in a folder is named. If
    images cannot be read, all are named and nothing is written, unless --keep-going is given. Files
    that others wrote are not replaced.

    With --shard each of several processes predicts its part, and --gather joins the parts in OUT.
    """
    from harness.inference.predict_source import SourcePrediction
    from harness.inference.video import Video
    from harness.runs.network import load
    from harness.runs.workspace import Workspace
    from harness.utils.outputs import Outputs

    if recursive and source.is_file():
        raise click.UsageError(f"--recursive is for a folder; {source} is a file")
    found = _find(source, recursive=recursive)
    if keep_going and isinstance(found, Video):
        raise click.UsageError(f"--keep-going is for images; {source} is a video")
    outputs = Outputs(out)
    workspace = Workspace(settings.workspace)
    loaded = load(_chosen(workspace, name, run_name))
    folders = _map_folders(loaded, uncertainty=uncertainty, maps=maps)
    _check_targets(outputs, source, found, folders, overwrite=overwrite)
    inference = _inference(workspace, loaded, inference, risk)
    prediction = SourcePrediction(
        loaded=loaded,
        inference=inference,
        source=found,
        uncertainty=uncertainty,
        maps=_calibrated(loaded, inference, maps) if calibrated else maps,
        keep_going=keep_going,
        cache=workspace.root / "cache",
    )
    _write(prediction, outputs, shard, gather=gather)


def _find(source: Path, *, recursive: bool) -> Sources | Video:
    """The images of SOURCE, or the video that it is; what is passed over in a folder is named."""
    from harness.data.listing import IMAGE_SUFFIXES
    from harness.inference import video
    from harness.inference.sources import find_sources
    from metrics.masks.image import is_still

    is_image = source.suffix.lower() in IMAGE_SUFFIXES or is_still(source)
    if source.is_file() and not is_image:
        return video.inspect(source)
    sources = find_sources(source, recursive=recursive)
    if sources.remark:
        console.warn(sources.remark)
    return sources


def _write(
    prediction: SourcePrediction, outputs: Outputs, shard: Shard | None, *, gather: bool
) -> None:
    """Write the masks, or a part of them, and say so."""
    out, run = outputs.folder, prediction.loaded.run.run
    if shard:
        rows, faults = prediction.part(out, shard)
        console.success(f"{out}: {counted(len(rows), 'mask')} by {run}, part {shard}")
    else:
        rows, faults = prediction.gather(outputs) if gather else prediction.whole(outputs)
        if left := outputs.left():
            console.warn(left)
        console.success(f"{out}: {counted(len(rows), 'mask')} by {run}")
        if prediction.uncertainty and len(rows):
            _name_the_least_certain(rows, out)
    if faults:
        console.fail(FaultsError(faults, "images that could not be read were left out").message)
        click.get_current_context().exit(1)


def _inference(
    workspace: Workspace, loaded: Loaded, asked: Inference, risk: float | None
) -> Inference:
    """How the run predicts, at the threshold that keeps a risk where one is given."""
    from harness.evaluation.risk import risk_threshold
    from harness.inference.clean_up import CleanUp

    if risk is None:
        return asked.of(loaded.run)
    if asked.threshold is not None:
        raise click.UsageError("--risk chooses the threshold; leave out --threshold")
    if len(loaded.classes) > 1:
        raise UserError(
            f"--risk is for a single class, but the network tells {len(loaded.classes)} apart, and "
            "each pixel gets the most probable one"
        )
    inference = asked.of(loaded.run)
    threshold, sequences = risk_threshold(workspace, loaded.run, inference, risk)
    by = f"by {sequences} validation sequences"
    what = loaded.classes.chosen
    console.note(
        f"{what} above {threshold:.4f}: expected to miss at most {100 * risk:g}% of it, {by}"
    )
    # The risk is of probability maps: a region that is dropped afterwards would be missed as well.
    kept = CleanUp(fill=bool(inference.clean_up and inference.clean_up.fill))
    if inference.clean_up != kept:
        console.note(f"{loaded.run.run}: no regions are dropped, since --risk counts on them")
    return replace(inference, threshold=threshold, clean_up=kept)


def _calibrated(loaded: Loaded, inference: Inference, maps: MapOptions | None) -> MapOptions:
    from harness.runs.calibration import temperature_of

    if maps is None:
        raise click.UsageError("--calibrated is for maps: add --probabilities")
    return replace(maps, temperature=temperature_of(loaded, inference.settings))


def _map_folders(loaded: Loaded, *, uncertainty: bool, maps: MapOptions | None) -> list[str]:
    """The folders in OUT that get a map for each mask."""
    from harness.inference.maps import FOLDER, file_names
    from harness.inference.write_masks import UNCERTAINTY

    found = [UNCERTAINTY] if uncertainty else []
    if maps:
        found += [f"{FOLDER}/{name}".rstrip("/") for name in file_names("", loaded.classes)]
    return found


def _check_targets(
    outputs: Outputs,
    source: Path,
    found: Sources | Video,
    folders: Sequence[str],
    *,
    overwrite: bool,
) -> None:
    """Refuse an OUT in SOURCE, and one where other files would be replaced.

    Raises:
        UserError: OUT lies in the folder SOURCE.
        FaultsError: Files would be replaced; all of them at once.
    """
    from harness.inference.maps import FOLDER, MANIFEST
    from harness.inference.predict_source import TABLE
    from harness.inference.video import Video

    out, root = outputs.folder, source.resolve()
    if source.is_dir() and (out.resolve() == root or root in out.resolve().parents):
        raise UserError(
            f"--out {out} is SOURCE or lies in it, where masks would mix with the images; give "
            "another folder"
        )
    if isinstance(found, Video):
        pattern = re.compile(rf"{re.escape(source.stem)}_(\d{{6,}}\.png|overlay\.mp4)")
        places = [out, *(out / folder for folder in folders)] if out.is_dir() else []
        there = [path for place in places if place.is_dir() for path in place.iterdir()]
        names = [path.relative_to(out).as_posix() for path in there if pattern.fullmatch(path.name)]
    else:
        names = [found.mask_name(image) for image in found.images]
        names += [f"{folder}/{name}" for folder in folders for name in tuple(names)]
        if clashes(names):
            taken = ", ".join(sorted({folder.split("/")[0] for folder in folders}))
            raise UserError(f"{root} has a folder {taken}, where maps go; rename it")
    read = [source] if isinstance(found, Video) else found.images
    names += [f"{FOLDER}/{MANIFEST}"] if any(one.startswith(FOLDER) for one in folders) else []
    outputs.check([*names, TABLE], overwrite=overwrite, sources=read)


def _chosen(workspace: Workspace, name: str | None, run_name: str | None) -> Run:
    from harness.runs.select import select

    names, runs = ([name] if name else []), ([run_name] if run_name else [])
    return select(workspace, names, runs, default="best")[0]


def _name_the_least_certain(table: pd.DataFrame, out: Path) -> None:
    from harness.inference.write_masks import UNCERTAINTY

    first = table.sort_values("disagreement", ascending=False, kind="stable").head(3)
    named = zip(first["image"], first["disagreement"], strict=True)
    shown = ", ".join(f"{image} ({value:.2f})" for image, value in named)
    console.note(f"{out / UNCERTAINTY}: where members disagree. Most of all on {shown}.")
