"""``harness export``: what is carried out predicts what ``harness predict`` does."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import SimpleITK
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.data.frames import read_image, resize_image
from harness.export import onnx
from harness.export.container import inference
from harness.export.pins import python_of_image
from harness.inference.postprocess import resize_map, upsample_and_decide
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs import register_ensemble as ensemble
from harness.runs.network import load
from harness.runs.run import Run
from harness.runs.select import select
from harness.runs.workspace import Workspace

SIZE = 64


def call(workspace: Workspace, *arguments: str) -> Result:
    line = ["export", *arguments, "--workspace", str(workspace.root)]
    return CliRunner().invoke(cli, line)


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, enter: Callable[[Workspace, str], Run]
) -> Workspace:
    """A workspace with an FPN, a U-Net, which is converted sooner than a U-Net++, and both."""
    made = Workspace(tmp_path_factory.mktemp("runs") / "workspace")
    ensemble.register(made, {name: enter(made, name) for name in ("fpn", "unet")})
    return made


@pytest.fixture(scope="module")
def exported(
    workspace: Workspace, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    path = tmp_path_factory.mktemp("onnx") / "ensemble.onnx"
    result = call(
        workspace,
        *("divergentnets", "--format", "onnx", "--out", str(path), "--frames", str(images)),
    )
    assert result.exit_code == 0, result.output
    return path, result


@pytest.fixture(scope="module")
def converted(exported: tuple[Path, Result]) -> Iterator[None]:
    """Further exports take the file that was exported, since the conversion takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "_convert", lambda _network, _size, to: shutil.copy(exported[0], to))
        yield


def predicted(workspace: Workspace, images: Path) -> dict[str, Any]:
    run = select(workspace, ["divergentnets"])[0]
    import torch

    inference = Inference(device=torch.device("cpu"), batch_size=1)
    predictor = Predictor(load(run).network, size=SIZE, inference=inference)
    return {p.image.name: p for p in predictor.predict(sorted(images.iterdir()))}


def test_onnxruntime_gives_the_same_masks(
    exported: tuple[Path, Result], workspace: Workspace, images: Path
) -> None:
    session = onnxruntime.InferenceSession(exported[0], providers=["CPUExecutionProvider"])
    frames = sorted(images.iterdir())
    small = [resize_image(read_image(frame), SIZE).transpose(2, 0, 1) for frame in frames]
    (together,) = session.run(None, {"images": np.stack(small)})
    ours = predicted(workspace, images)

    for frame, pixels, of_batch in zip(frames, small, together, strict=True):
        (alone,) = session.run(None, {"images": pixels[None]})
        assert np.allclose(alone[0], of_batch, atol=1e-5)
        assert np.allclose(alone[0].sum(axis=0), 1, atol=1e-5)
        prediction = ours[frame.name]
        assert np.allclose(alone[0, 1], prediction.probabilities[0], atol=1e-4)
        height, width = prediction.mask.shape
        mask = cv2.resize(alone[0, 1], (width, height)) > 0.5
        probability = resize_map(prediction.probabilities[0], height=height, width=width)
        sure = np.abs(probability - 0.5) > 1e-4
        assert np.array_equal(mask[sure], prediction.mask[sure])
        assert 0 < mask.mean() < 1
    assert f"pixels differ in {len(frames)} frames" in " ".join(exported[1].stderr.split())


def test_what_stands_beside_the_file(exported: tuple[Path, Result], workspace: Workspace) -> None:
    path = exported[0]
    told = json.loads(path.with_suffix(".json").read_text())
    run = select(workspace, ["divergentnets"])[0]

    assert told["input"]["shape"] == ["batch", 3, SIZE, SIZE]
    assert told["classes"] == ["background", "polyp"]
    assert (told["run"], told["members"]) == (run.run, dict(run.members))
    assert told["checkpoint_sha256"] == run.row["checkpoint"]
    assert told["onnx_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["compared"]["other_differences"] == 0
    assert {"torch", "onnx", "onnxruntime"} <= told["versions"].keys()
    (taken,) = onnxruntime.InferenceSession(path).get_inputs()
    assert (taken.name, taken.type) == (told["input"]["name"], "tensor(uint8)")


class Fake:
    """Stands in for onnxruntime: the harness's probabilities, changed."""

    def __init__(self, predictor: Predictor, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.predictor = predictor
        self.change = change

    def run(self, _names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        import torch

        output = self.predictor.probabilities(torch.from_numpy(inputs["images"])).numpy()
        return [self.change(output)]


@pytest.mark.parametrize("classes", [1, 2])
def test_the_container_decides_as_we_do(classes: int) -> None:
    raw = np.random.default_rng(classes).normal(size=(1 + classes, SIZE, SIZE)).astype(np.float32)
    every = np.exp(raw) / np.exp(raw).sum(axis=0)

    class Session:
        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="images", shape=["batch", 3, SIZE, SIZE])]

        def run(self, _names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert inputs["images"].shape == (1, 3, SIZE, SIZE)
            return [every[None]]

    made = inference.segment(Session(), np.zeros((90, 70, 3), np.uint8))

    assert np.array_equal(made, upsample_and_decide(every[1:], (90, 70), "full-size"))
    assert made.max() == classes


@pytest.mark.parametrize("shift", [0.0, 5e-5, 0.2])
def test_ties_and_other_differences_are_counted(
    workspace: Workspace, images: Path, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    import torch

    run = select(workspace, ["fpn"])[0]
    loaded = load(run)
    inference = Inference(device=torch.device("cpu"))
    predictor = Predictor(loaded.network, size=SIZE, inference=inference)
    fake = Fake(predictor, lambda output: output + np.float32(shift))
    monkeypatch.setattr(onnx, "_session", lambda _path: fake)
    frames = sorted(images.iterdir())

    found = onnx.compare(loaded, Path(), frames)

    predictions = [(p.probabilities[0], *p.mask.shape) for p in predictor.predict(frames)]
    resized = [resize_map(one, height=height, width=width) for one, height, width in predictions]
    full = np.concatenate([one.ravel() for one in resized])
    flipped = (full <= 0.5) & (full + shift > 0.5)
    assert (found.frames, found.pixels) == (len(frames), full.size)
    assert found.ties + found.other_differences == pytest.approx(flipped.sum(), abs=2)
    others = found.other_differences
    assert others == 0 if shift < onnx.TIE else others > 0.01 * full.size


def test_a_file_that_gives_other_masks_is_not_left(
    converted: None,
    workspace: Workspace,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong:
        def run(self, _names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.ones((1, 2, SIZE, SIZE), np.float32)]

    monkeypatch.setattr(onnx, "_session", lambda _path: Wrong())
    out = tmp_path / "out" / "x.onnx"
    result = call(
        workspace,
        *("divergentnets", "--format", "onnx", "--out", str(out), "--frames", str(images)),
    )

    assert result.exit_code == 1
    assert "onnxruntime's masks are not the harness's" in result.output
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def test_missing_packages_are_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    result = call(workspace, "fpn", "--format", "onnx", "--out", str(tmp_path / "x.onnx"))

    assert result.exit_code == 1
    assert "onnxruntime" in result.output
    assert "harness[export]" in result.output


@pytest.fixture(scope="module")
def container(
    converted: None, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "container"
    result = call(
        workspace,
        *("divergentnets", "--format", "grand-challenge", "--out", str(folder)),
        *("--input-slug", "endoscopy-frame", "--output-slug", "polyp-mask"),
    )
    assert result.exit_code == 0, result.output
    return folder


def infer(container: Path, inputs: Path, outputs: Path) -> subprocess.CompletedProcess[str]:
    paths = {"INPUT_PATH": inputs, "OUTPUT_PATH": outputs, "MODEL_PATH": container / "model"}
    return subprocess.run(
        [sys.executable, "-I", str(container / "inference.py")],
        env=os.environ | {name: str(path) for name, path in paths.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def case(folder: Path, pixels: np.ndarray, name: str = "case.mha", *, vector: bool = True) -> Path:
    place = folder / "images" / "endoscopy-frame"
    place.mkdir(parents=True)
    image = SimpleITK.GetImageFromArray(pixels, isVector=vector)
    image.SetSpacing([0.5] * image.GetDimension())
    SimpleITK.WriteImage(image, str(place / name))
    socket = {"slug": "endoscopy-frame", "relative_path": "images/endoscopy-frame"}
    (folder / "inputs.json").write_text(json.dumps([{"image": {"name": name}, "socket": socket}]))
    return folder


def mask_of(outputs: Path) -> Any:
    return SimpleITK.ReadImage(str(outputs / "images" / "polyp-segmentation" / "output.mha"))


@pytest.mark.parametrize("name", ["case.mha", "case.tif"])
def test_a_case_gets_the_mask_that_predict_writes(
    container: Path, workspace: Workspace, images: Path, tmp_path: Path, name: str
) -> None:
    frame = min(images.iterdir())
    inputs = case(tmp_path / "input", read_image(frame), name)
    expected = predicted(workspace, images)[frame.name]

    done = infer(container, inputs, tmp_path / "output")

    assert done.returncode == 0, done.stderr
    mask = SimpleITK.GetArrayFromImage(mask_of(tmp_path / "output"))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    # Pillow's filter is one grey level off in a few pixels, which moves an edge here and there.
    assert mask.shape == expected.mask.shape
    assert (mask.astype(bool) != expected.mask).mean() < 0.004
    assert sorted(path.name for path in inputs.iterdir()) == ["images", "inputs.json"]


def test_a_stack_of_grey_frames(container: Path, images: Path, tmp_path: Path) -> None:
    grey = read_image(min(images.iterdir()))[..., 0]
    stack = np.stack([grey, 255 - grey])
    inputs = case(tmp_path / "input", stack, vector=False)

    assert infer(container, inputs, tmp_path / "output").returncode == 0

    made = mask_of(tmp_path / "output")
    assert SimpleITK.GetArrayFromImage(made).shape == stack.shape
    assert made.GetSpacing() == (0.5, 0.5, 0.5)


def test_the_readme_says_which_value_is_which_class_and_where_the_mask_lies(
    container: Path,
) -> None:
    text = (container / "README.md").read_text()
    assert "Segments an image, frame by frame: 1 on polyp, else 0." in text
    assert "OUTPUT_SLUG=polyp-mask" in text
    assert "{{" not in text


def nothing(folder: Path) -> None:
    folder.mkdir()


def two_images(folder: Path) -> None:
    case(folder, np.zeros((32, 32, 3), np.uint8))
    place = folder / "images" / "endoscopy-frame"
    shutil.copy(place / "case.mha", place / "another.mha")


def deep(folder: Path) -> None:
    case(folder, np.zeros((32, 32, 3), np.uint16))


def damaged(folder: Path) -> None:
    case(folder, np.zeros((32, 32, 3), np.uint8))
    (folder / "images" / "endoscopy-frame" / "case.mha").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (nothing, "inputs.json"),
        (two_images, "expected one .mha or .tif"),
        (deep, "8 bits a channel"),
        (damaged, "cannot be read"),
    ],
)
def test_a_case_that_cannot_be(
    container: Path, tmp_path: Path, make: Callable[[Path], None], expected: str
) -> None:
    make(tmp_path / "input")

    done = infer(container, tmp_path / "input", tmp_path / "output")

    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "output").exists()


def test_the_container_is_what_the_platform_asks_for(container: Path, tmp_path: Path) -> None:
    recipe = (container / "Dockerfile").read_text()
    lines = recipe.splitlines()
    assert lines[0].startswith("FROM --platform=linux/amd64 ")
    python = python_of_image()
    assert lines[0].endswith(f"/python:{python}-slim")  # the one that the packages are pinned for
    assert f"in a Python {python} " in (container / "README.md").read_text()
    assert lines.index("USER user") < lines.index('ENTRYPOINT ["python", "inference.py"]')
    assert "ENV OUTPUT_SLUG=polyp-mask" in lines
    assert "model" not in recipe
    assert sorted(path.name for path in (container / "model").iterdir()) == [
        "model.json",
        "model.onnx",
    ]
    script = ast.parse((container / "inference.py").read_text())
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(script)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    pinned = (container / "requirements.txt").read_text()
    packages = {"PIL": "pillow", "cv2": "opencv-python-headless"}
    assert imported - set(sys.stdlib_module_names)
    for name in imported - set(sys.stdlib_module_names):
        assert f"{packages.get(name, name.lower())}==" in pinned
    assert not any("{{" in path.read_text() for path in container.glob("*.*"))
    assert infer(container, container / "test" / "input", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("running", "expected"),
    [((3, 11, 7), "3.11"), ((3, 12), "3.12"), ((3, 13, 0), "3.13"), ((3, 14, 1), "3.13")],
)
def test_the_containers_python_is_the_one_that_exports(
    running: tuple[int, ...], expected: str
) -> None:
    assert python_of_image(running) == expected


def test_the_scripts_run_docker_without_a_network_and_save_both_files(
    container: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "container"
    shutil.copytree(container, copied, ignore=shutil.ignore_patterns("*.onnx"))
    (copied / "model" / "model.onnx").write_bytes(b"small, since it is compressed")
    fake = tmp_path / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n')
    fake.chmod(0o755)
    env = os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}

    for script in ("do_test_run.sh", "do_save.sh"):
        subprocess.run([str(copied / script)], env=env, check=True, capture_output=True)

    calls = (tmp_path / "calls").read_text().splitlines()
    (ran,) = [line for line in calls if line.startswith("run ")]
    assert "--network none" in ran
    assert "/input:/input:ro" in ran
    assert "/model:/opt/ml/model:ro" in ran
    with tarfile.open(copied / "model.tar.gz") as archive:
        files = {member.name for member in archive if member.isfile()}
    assert files == {"./model.onnx", "./model.json"}


def test_a_folder_that_is_there_and_a_slug_that_cannot_be(
    converted: None, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    line = ("fpn", "--format", "grand-challenge", "--out")
    there = call(workspace, *line, str(tmp_path / "mine"))
    slug = call(workspace, *line, str(tmp_path / "other"), "--output-slug", "Polyp Mask")

    assert (there.exit_code, slug.exit_code) == (1, 1)
    assert "is there already" in there.output
    assert "expected a slug" in slug.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_slugs_belong_to_the_container(workspace: Workspace) -> None:
    assert call(workspace, "fpn", "--format", "onnx", "--output-slug", "a").exit_code == 2


def test_frames_without_an_image_are_no_comparison(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "EndoCV_DATA1").mkdir()
    out = tmp_path / "fpn.onnx"
    frames = ("--frames", str(tmp_path), "--int8", "--out", str(out))

    result = call(workspace, "fpn", "--format", "onnx", *frames)

    assert result.exit_code == 1
    assert "holds no images" in result.stderr
    assert not out.exists()
