"""``harness predict``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import inference_options, with_settings
from harness.utils import console

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.inference.predictor import Inference
    from harness.inference.video import Video
    from harness.runs.network import Loaded
    from harness.runs.workspace import Run, Workspace

EPILOG = """\b
Examples:
  harness predict frames/ --out masks/
  harness predict frames/ --out masks/ --model unet --device cuda
  harness predict frames/ --out masks/ --uncertainty
  harness predict colonoscopy.mp4 --out masks/
"""


@click.command(epilog=EPILOG)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Where masks go, as NAME.png."
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
@inference_options()
@with_settings("workspace")
def command(
    settings: Settings,
    source: Path,
    out: Path,
    name: str | None,
    run_name: str | None,
    uncertainty: bool,
    inference: Inference,
) -> None:
    """Write a mask for each image in SOURCE: 0 and 255, at the image's own size.

    SOURCE is an image, a folder of images (without its sub-folders) or a video; each frame of a
    video gets a mask, NAME_000001.png, and NAME_overlay.mp4 shows the outlines. predictions.csv,
    beside the masks, has each image's share of each class and its time in milliseconds. With
    --uncertainty it also has how much the members of the ensemble disagree, from 0 to 1: the more,
    the less reliable the mask. With several classes the masks hold the classes' own values.
    """
    import pandas as pd

    from harness.inference import video
    from harness.runs.network import load
    from harness.runs.workspace import Workspace
    from metrics.utils.files import atomic_path

    images = [] if _is_video(source) else _images(source)
    film = video.inspect(source) if _is_video(source) else None
    loaded = load(_chosen(Workspace(settings.workspace), name, run_name))
    if film is None:
        rows = _of_images(loaded, inference, images, out, uncertainty)
    else:
        rows = _of_video(loaded, inference, film, out, uncertainty)
    table = pd.DataFrame(rows)
    with atomic_path(out / "predictions.csv") as temporary:
        table.to_csv(temporary, index=False)
    if film is not None:
        video.check_whole(film, len(rows))
    console.success(f"{out}: {len(rows)} masks by {loaded.run.run}")
    if uncertainty:
        _name_the_least_certain(table, out)


def _chosen(workspace: Workspace, name: str | None, run_name: str | None) -> Run:
    from harness.runs.select import select

    names, runs = ([name] if name else []), ([run_name] if run_name else [])
    return select(workspace, names, runs, default="best")[0]


def _name_the_least_certain(table: pd.DataFrame, out: Path) -> None:
    from harness.inference.write_masks import MAPS

    first = table.sort_values("disagreement", ascending=False, kind="stable").head(3)
    named = zip(first["image"], first["disagreement"], strict=True)
    shown = ", ".join(f"{image} ({value:.2f})" for image, value in named)
    console.note(f"{out / MAPS}: where members disagree. Most of all on {shown}.")


def _of_images(
    loaded: Loaded, inference: Inference, images: list[Path], out: Path, uncertainty: bool
) -> list[dict[str, Any]]:
    from harness.inference.precision_check import make_predictor, sample_of
    from harness.inference.write_masks import predict_images

    predictor = make_predictor(
        loaded, inference, sample=sample_of(images), say=console.note, uncertainty=uncertainty
    )
    with console.progress(f"{loaded.run.model} on {images[0].parent.name}", len(images)) as bar:
        return predict_images(predictor, images, out, done=bar.advance)


def _of_video(
    loaded: Loaded, inference: Inference, film: Video, out: Path, uncertainty: bool
) -> list[dict[str, Any]]:
    from harness.inference.precision_check import make_predictor
    from harness.inference.write_masks import first_frames, predict_video

    predictor = make_predictor(
        loaded, inference, sample=first_frames(film), say=console.note, uncertainty=uncertainty
    )
    start = time.perf_counter()
    with console.progress(f"{loaded.run.model} on {film.path.name}", film.frames or None) as bar:
        rows = predict_video(predictor, film, out, done=bar.advance)
    rate = len(rows) / (time.perf_counter() - start)
    console.note(f"{rate:.1f} frames a second; the video has {film.rate:.1f}")
    return rows


def _is_video(source: Path) -> bool:
    from harness.data.listing import IMAGE_SUFFIXES

    return source.is_file() and source.suffix.lower() not in IMAGE_SUFFIXES


def _images(source: Path) -> list[Path]:
    from harness.data.listing import images_in
    from metrics.utils.errors import Fault, FaultsError, UserError
    from metrics.utils.names import is_reserved

    images = [source] if source.is_file() else list(images_in(source))
    if not images:
        raise UserError(f"no images in {source} itself; expected .jpg, .png, .tif or .bmp files")
    first: dict[str, Path] = {}
    twins = [
        Fault(path=str(image), message=f"would get the same mask name as {first[image.stem].name}")
        for image in images
        if first.setdefault(image.stem, image) is not image
    ]
    if twins:
        raise FaultsError(twins, "each image needs a name of its own; rename these")
    reserved = [
        Fault(path=str(image), message=f"Windows reserves the name of its mask, {image.stem}.png")
        for image in images
        if is_reserved(image.name)
    ]
    if reserved:
        raise FaultsError(reserved, "masks could not be opened on Windows; rename these")
    return images
