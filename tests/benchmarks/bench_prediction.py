"""DivergentNets from frame file to mask file, against the authors' loop in the same run.

The reference is written anew from the description of the authors' inference: a frame is decoded
twice, resized by nearest neighbour, and goes alone through one network after another in float32;
the maps are averaged and rounded in NumPy; and the mask is resized by scikit-image, tripled and
saved as a JPEG the way ``matplotlib.pyplot.imsave`` does.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import io
from skimage.transform import resize
from torch import nn

import models
from harness.inference.postprocess import upsample_and_decide
from harness.inference.predictor import Inference, Predictor
from harness.inference.write_masks import predict_images
from harness.runs.network import Normalised
from harness.utils import device as devices
from harness.utils.allocation import keep_memory
from metrics.masks.labels import write_mask
from models.divergentnets import DivergentNets

ENCODER, SIZE = "se_resnext50_32x4d", 256
HEIGHT, WIDTH, FRAMES = 1080, 1350, 4
FULL = (1080, 1920)
DEVICE = devices.choose("auto")
BF16_PAYS = DEVICE.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def give_memory_back() -> None:
    """glibc's own settings, which ``keep_memory`` changes for ours alone."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, default in ((-4, 65536), (-1, 128 * 1024), (-2, 128 * 1024)):
            libc.mallopt(parameter, default)


@pytest.fixture(scope="module", autouse=True)
def all_cores() -> None:
    """The tests at large keep to one."""
    torch.set_num_threads(devices.cores())


def members() -> dict[str, nn.Module]:
    """The five of DivergentNets with random weights, the same at each call."""
    torch.manual_seed(0)
    scale = models.normalisation(ENCODER)
    made = {}
    for name in models.get("divergentnets").members:
        network = models.create(name, encoder=ENCODER, encoder_weights=None).eval()
        made[name] = Normalised(network, scale).eval()
        balance(made[name], name)
    return made


BALANCE: dict[str, torch.Tensor] = {}


@torch.no_grad()
def balance(network: Normalised, name: str) -> None:
    """Let a network with random weights take half of a picture for polyp."""
    if name not in BALANCE:
        coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255
        logits = network(torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic"))
        BALANCE[name] = (logits[:, 1] - logits[:, 0]).median()
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    assert last.bias is not None
    last.bias[1] -= BALANCE[name]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("frames")
    generator = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(FRAMES)]
    for path in paths:
        coarse = generator.integers(0, 256, (27, 34, 3), dtype=np.uint8)
        pixels = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), pixels)
    return paths


@torch.no_grad()
def authors_loop(networks: Sequence[nn.Module], frames: Sequence[Path], out: Path) -> None:
    for path in frames:
        small = np.array(Image.open(path).convert("RGB").resize((SIZE, SIZE), resample=0))
        image = torch.from_numpy(small.transpose(2, 0, 1).astype("float32")).to(DEVICE)
        size = io.imread(path).shape[:2]
        maps = [network(image[None]).softmax(1).squeeze().cpu().numpy()[1] for network in networks]
        authors_export(np.mean(np.stack(maps), axis=0), size, out / f"{path.stem}_mask.jpg")


def authors_export(polyp: np.ndarray, size: tuple[int, int], path: Path) -> None:
    small = (polyp.round() * 255.0).astype(np.uint8)
    mask = np.dstack([resize(small, size, anti_aliasing=True)] * 3)
    coloured = (mask * 255.0).astype("uint8")
    opaque = np.dstack([coloured, np.full(size, 255, np.uint8)])
    image = Image.fromarray(opaque)
    background = Image.new("RGB", image.size, (255, 255, 255))
    background.paste(image, image)
    background.save(path, dpi=(100, 100))


@pytest.fixture(scope="module")
def authors_seconds(
    frames: list[Path], seconds: Callable[..., float], tmp_path_factory: pytest.TempPathFactory
) -> float:
    out = tmp_path_factory.mktemp("theirs")
    networks = [network.to(DEVICE) for network in members().values()]
    give_memory_back()
    authors_loop(networks, frames[:1], out)
    took = seconds(lambda: authors_loop(networks, frames, out), 2) / FRAMES
    keep_memory()
    return took


def plain_masks(frames: Sequence[Path]) -> list[np.ndarray]:
    """The ensemble as it is, float32, one frame at a time, on the pixels that ours sees."""
    from harness.data.frames import read_image, resize_image

    network = DivergentNets(members()).to(DEVICE).eval()
    masks = []
    for path in frames:
        pixels = read_image(path)
        image = torch.from_numpy(resize_image(pixels, SIZE)).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            polyp = network(image.to(DEVICE))[0, 1].cpu().numpy()
        masks.append(upsample_and_decide(polyp[None], pixels.shape[:2], "full-size"))
    return masks


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", [1, FRAMES])
def test_a_frame(
    benchmark: Any,
    fastest: Callable[[], float],
    authors_seconds: float,
    frames: list[Path],
    tmp_path: Path,
    precision: str,
    batch_size: int,
) -> None:
    if precision == "bf16" and not BF16_PAYS:
        pytest.skip("this machine computes bfloat16 no faster than float32")
    inference = Inference(device=DEVICE, precision=precision, batch_size=batch_size)
    predictor = Predictor(DivergentNets(members()), size=SIZE, inference=inference)
    benchmark.pedantic(
        lambda: predict_images(predictor, frames, tmp_path), rounds=2, warmup_rounds=1
    )
    expected = plain_masks(frames)
    masks = [cv2.imread(str(tmp_path / f"{f.stem}.png"), cv2.IMREAD_UNCHANGED) > 0 for f in frames]
    changed = sum(int((a != b).sum()) for a, b in zip(masks, expected, strict=True))
    share = changed / sum(mask.size for mask in masks)
    assert share <= (1e-5 if precision == "fp32" else 1e-3)
    benchmark.extra_info |= {
        "device": str(DEVICE),
        "ms_a_frame": fastest() / FRAMES * 1e3,
        "authors_ms_a_frame": authors_seconds * 1e3,
        "times_faster": authors_seconds / (fastest() / FRAMES),
        "pixels_changed": changed,
        "share_changed": share,
        "polyp_share": float(np.mean([mask.mean() for mask in masks])),
    }


def test_writing_a_mask(
    benchmark: Any,
    fastest: Callable[[], float],
    seconds: Callable[..., float],
    tmp_path: Path,
) -> None:
    """From the map of the network's size to the file, 1920 x 1080."""
    noise = np.random.default_rng(0).random((SIZE, SIZE), dtype=np.float32)
    polyp = cv2.GaussianBlur(noise, (0, 0), 40)
    polyp = (polyp - polyp.min()) / (polyp.max() - polyp.min())
    path = tmp_path / "mask.png"
    cv2.setNumThreads(1)

    benchmark(lambda: write_mask(path, upsample_and_decide(polyp[None], FULL, "full-size")))

    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    mask = upsample_and_decide(polyp[None], FULL, "full-size")
    theirs = seconds(lambda: authors_export(polyp, FULL, tmp_path / "mask.jpg"), 10)
    cv2.setNumThreads(-1)
    assert np.array_equal(read, mask * np.uint8(255))
    benchmark.extra_info |= {
        "ms_a_mask": fastest() * 1e3,
        "authors_ms_a_mask": theirs * 1e3,
        "times_faster": theirs / fastest(),
        "polyp_share": float(mask.mean()),
    }
