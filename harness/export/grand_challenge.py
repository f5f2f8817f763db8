"""Export a run as a container for grand-challenge.org, with its weights in a separate archive."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from harness import __version__
from harness.data.synthetic.endoscope import LOOKS, photograph
from harness.data.synthetic.scene import Scene, draw_texture
from harness.export.onnx import Difference, export_onnx, require
from harness.export.pins import pinned, python_of_image
from harness.runs.network import Loaded
from harness.utils.folders import replace_folder
from metrics.utils.errors import UserError

INPUT_SLUG: Final = "colonoscopy-frame"
OUTPUT_SLUG: Final = "polyp-segmentation"

_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REQUIREMENTS: Final = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "simpleitk")
_SCRIPTS: Final = ("do_test_run.sh", "do_save.sh")
_DRAWN_HEIGHT: Final = 128  # pixels


def export_container(
    loaded: Loaded,
    folder: Path,
    *,
    input_slug: str = INPUT_SLUG,
    output_slug: str = OUTPUT_SLUG,
    frames: Sequence[Path] = (),
    done: Callable[[], object] = lambda: None,
) -> Difference | None:
    """Write a folder with all files to build, test and upload the container.

    The folder appears when it is complete; ``frames`` are those to compare the ONNX file on, as for
    :func:`harness.export.onnx.export_onnx`.

    Returns:
        Difference: How the masks differ; ``None`` without frames.

    Raises:
        UserError: If the folder exists, a slug is invalid, a package is missing, or masks differ by
            more than ties.
    """
    require("onnx", "onnxruntime", "onnxscript", "SimpleITK")
    for slug in (input_slug, output_slug):
        if not _SLUG.fullmatch(slug):
            raise UserError(f"expected a slug such as {INPUT_SLUG!r}, got {slug!r}")
    if folder.exists():
        raise UserError(f"{folder} is there already; give a folder that is not, or remove it")
    with replace_folder(folder) as made:
        difference = export_onnx(loaded, made / "model" / "model.onnx", frames=frames, done=done)
        words = {
            "name": re.sub(r"[^a-z0-9]+", "-", loaded.run.run.lower()).strip("-"),
            "title": loaded.run.model,
            "run": loaded.run.run,
            "version": __version__,
            "python": python_of_image(),
            "size": str(loaded.size),
            "values": ", ".join(
                f"{at} on {name}" for at, name in enumerate(loaded.classes.names, 1)
            ),
            "input_slug": input_slug,
            "output_slug": output_slug,
        }
        _write_files(made, words)
        _write_case(made / "test" / "input", input_slug)
    return difference


def _write_files(folder: Path, words: Mapping[str, str]) -> None:
    source = resources.files("harness.export") / "container"
    for name in ("Dockerfile", "README.md", "inference.py", *_SCRIPTS):
        text = (source / name).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"{{{{ {word} }}}}", value)
        (folder / name).write_text(text, encoding="utf-8")
    for name in _SCRIPTS:
        (folder / name).chmod(0o755)
    requirements = "\n".join(pinned(_REQUIREMENTS)) + "\n"
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")


def _write_case(folder: Path, slug: str) -> None:
    """Write a synthetic frame the way the platform passes one."""
    import SimpleITK

    rng, look = np.random.default_rng(0), LOOKS["C1"]
    scene = Scene(rng, draw_texture(rng), look.shape(_DRAWN_HEIGHT), polyps=1)
    pixels, _ = photograph(scene, look, rng)
    place = folder / "images" / slug
    place.mkdir(parents=True)
    image = SimpleITK.GetImageFromArray(pixels, isVector=True)
    SimpleITK.WriteImage(image, str(place / "frame.mha"), useCompression=True)
    socket = {"slug": slug, "kind": "Image", "relative_path": f"images/{slug}"}
    inputs = [{"image": {"name": "frame.mha"}, "socket": socket}]
    (folder / "inputs.json").write_text(json.dumps(inputs, indent=2) + "\n", encoding="utf-8")
