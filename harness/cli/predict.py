"""``harness predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import console
from harness.cli.options import inference_options, with_settings

if TYPE_CHECKING:
    from harness.prediction import Inference, Prediction
    from harness.settings import Settings

MAPS = "uncertainty"
"""Folder of the maps, below that of the masks."""

EPILOG = """\b
Examples:
  harness predict frames/ --out masks/
  harness predict frames/ --out masks/ --model unet --device cuda
  harness predict frames/ --out masks/ --uncertainty
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Where masks go, as NAME.png."
)
@click.option("--model", "name", metavar="NAME", help="By default DivergentNets, else the best.")
@click.option("--run", "run_name", metavar="RUN", help="A run in place of a model.")
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Also write where the members of an ensemble disagree, as OUT/uncertainty/NAME.png.",
)
@inference_options()
@with_settings("workspace")
def command(
    settings: Settings,
    folder: Path,
    out: Path,
    name: str | None,
    run_name: str | None,
    uncertainty: bool,
    inference: Inference,
) -> None:
    """Write a mask, 0 and 255 at the image's own size, for each image right in FOLDER.

    Beside the masks, predictions.csv says of each image how large a share is polyp and how many
    milliseconds it took. With --uncertainty it also says how far the members of the ensemble
    disagree on the image, from 0 to 1: the more, the less the mask is to be trusted.
    """
    import pandas as pd

    from harness import assess, submitting
    from harness.evaluation import write_mask
    from harness.files import atomic_path
    from harness.loading import load
    from harness.prediction import Predictor
    from harness.uncertainty import with_members, write_map
    from harness.workspace import Workspace

    images = _images(folder)
    workspace = Workspace(settings.workspace)
    if name or run_name:
        names, runs = ([name] if name else []), ([run_name] if run_name else [])
        run = assess.chosen_runs(workspace, names, runs)[0]
    else:
        run = submitting.default_run(workspace)
    loaded = load(run)
    network = with_members(loaded) if uncertainty else loaded.network
    predictor = Predictor(network, size=loaded.size, inference=inference)
    rows = []
    with console.progress(f"{run.model} on {folder.name}", len(images)) as bar:
        for prediction in predictor.predict(images):
            write_mask(out / f"{prediction.image.stem}.png", prediction.mask)
            rows.append(_row(prediction))
            if prediction.uncertainty is not None:
                write_map(out / MAPS / f"{prediction.image.stem}.png", prediction.uncertainty)
            bar.advance()
    table = pd.DataFrame(rows)
    with atomic_path(out / "predictions.csv") as temporary:
        table.to_csv(temporary, index=False)
    console.success(f"{out}: {len(rows)} masks by {run.run}")
    if uncertainty:
        first = table.sort_values("disagreement", ascending=False, kind="stable").head(3)
        named = zip(first["image"], first["disagreement"], strict=True)
        shown = ", ".join(f"{image} ({value:.2f})" for image, value in named)
        console.note(f"{out / MAPS}: where members disagree. Most of all on {shown}.")


def _row(prediction: Prediction) -> dict[str, str | float]:
    """What predictions.csv says of an image."""
    row: dict[str, str | float] = {
        "image": prediction.image.name,
        "polyp_share": float(prediction.mask.mean()),
        "latency_ms": prediction.latency_ms,
    }
    if (found := prediction.uncertainty) is not None:
        row |= {
            "disagreement": found.disagreement,
            "vote_variance": found.vote_variance,
            "mean_deviation": float(found.deviation.mean()),
        }
    return row


def _images(folder: Path) -> list[Path]:
    from harness.data.listing import images_in
    from metrics.errors import Fault, FaultsError, UserError

    images = list(images_in(folder))
    if not images:
        raise UserError(f"no images right in {folder}; expected .jpg, .png, .tif or .bmp files")
    first: dict[str, Path] = {}
    twins = [
        Fault(path=str(image), message=f"would get the same mask name as {first[image.stem].name}")
        for image in images
        if first.setdefault(image.stem, image) is not image
    ]
    if twins:
        raise FaultsError(twins, "each image needs a name of its own; rename these")
    return images
