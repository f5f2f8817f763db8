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
from harness.data.frames import read_image, resize_image, resize_mask
from harness.data.synthetic.dataset import write_dataset
from harness.inference.make_predictor import changed_pixels
from harness.inference.postprocess import upsample_and_decide
from harness.inference.prediction import Inference, Prediction
from harness.inference.predictor import Predictor
from harness.inference.sources import Sources
from harness.inference.write_masks import predict_images
from harness.runs.network import Normalised, Softmax
from harness.utils import device as devices
from harness.utils.device import Precision, exact_float32, keep_memory
from metrics.masks.class_indices import write_mask
from metrics.masks.read import read_mask
from models.divergentnets import DivergentNets

ENCODER, SIZE = "se_resnext50_32x4d", 256
FULL = (1080, 1920)
DEVICE = devices.choose("auto")
ON_CPU = DEVICE.type == "cpu"
HEIGHT, WIDTH, FRAMES = (1080, 1350, 4) if ON_CPU else (*FULL, 64)
BATCHES = (1, 4) if ON_CPU else (1, 8, 32)
STEPS, TRAINED_SIZE = 80, 64
BF16_PAYS = not ON_CPU or torch.ops.mkldnn._is_mkldnn_bf16_supported()


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
    few = frames[:4]
    took = seconds(lambda: authors_loop(networks, few, out), 2) / len(few)
    keep_memory()
    return took


def plain_masks(frames: Sequence[Path]) -> list[np.ndarray]:
    """The ensemble as it is, in exact float32, a frame at a time, on the pixels that ours sees."""
    network = DivergentNets(members()).to(DEVICE).eval()
    masks = []
    for path in frames:
        pixels = read_image(path)
        image = torch.from_numpy(resize_image(pixels, SIZE)).permute(2, 0, 1)[None].float()
        with torch.inference_mode(), exact_float32(DEVICE):
            polyp = network(image.to(DEVICE))[0, 1].cpu().numpy()
        masks.append(upsample_and_decide(polyp[None], pixels.shape[:2], "full-size"))
    return masks


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", BATCHES)
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
    sources = Sources(root=frames[0].parent, images=tuple(frames))
    benchmark.pedantic(
        lambda: predict_images(predictor, sources, tmp_path), rounds=2, warmup_rounds=1
    )
    expected = plain_masks(frames)
    masks = [cv2.imread(str(tmp_path / f"{f.stem}.png"), cv2.IMREAD_UNCHANGED) > 0 for f in frames]
    changed = sum(int((a != b).sum()) for a, b in zip(masks, expected, strict=True))
    share = changed / sum(mask.size for mask in masks)
    # With random weights half of the pixels are near one half, and bf16 is only told of.
    assert precision == "bf16" or share <= 1e-5
    benchmark.extra_info |= {
        "device": str(DEVICE),
        "ms_a_frame": fastest() / FRAMES * 1e3,
        "authors_ms_a_frame": authors_seconds * 1e3,
        "times_faster": authors_seconds / (fastest() / FRAMES),
        "pixels_changed": changed,
        "share_changed": share,
        "polyp_share": float(np.mean([mask.mean() for mask in masks])),
    }


def trained(images: Sequence[Path]) -> nn.Module:
    """A small U-Net that tells polyps from the wall on the frames it was trained on."""
    torch.manual_seed(0)
    network = models.create("unet", encoder="resnet18", encoder_weights=None)
    network = Normalised(network, models.normalisation("resnet18")).to(DEVICE)
    pixels = np.stack([resize_image(read_image(path), TRAINED_SIZE) for path in images])
    truth = np.stack([resize_mask(read_mask(mask_file(path)), TRAINED_SIZE) for path in images])
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().to(DEVICE)
    targets = torch.from_numpy(truth).long().to(DEVICE)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for chosen in torch.randint(len(images), (STEPS, 8)):
        loss = nn.functional.cross_entropy(network(inputs[chosen]), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return Softmax(network).eval()


def mask_file(image: Path) -> Path:
    folder = image.parent.with_name(image.parent.name.replace("images", "masks"))
    return folder / f"{image.stem}_mask.jpg"


def test_bf16_of_a_trained_network(benchmark: Any, tmp_path: Path) -> None:
    """Drawn frames: bf16 changes at most one pixel of a thousand."""
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=192)
    images = sorted(drawn.endocv.glob("data_C*/images_*/*.jpg"))
    network = trained(images)

    def masks(precision: Precision) -> list[Prediction]:
        inference = Inference(device=DEVICE, precision=precision, batch_size=8)
        return list(Predictor(network, size=TRAINED_SIZE, inference=inference).predict(images))

    rounded = benchmark.pedantic(lambda: masks("bf16"))
    exact = masks("fp32")

    right = np.concatenate([p.mask[read_mask(mask_file(p.image))] for p in exact])
    found = changed_pixels(rounded, exact)
    benchmark.extra_info |= {
        "device": str(DEVICE),
        "share_changed": found.changed / found.pixels,
        "polyp_share": float(np.mean([p.mask.mean() for p in exact])),
        "polyp_found": float(right.mean()),
    }
    assert right.mean() > 0.5  # a network that says nothing changes nothing
    assert found.changed / found.pixels <= 1e-3


def test_writing_a_mask(
    benchmark: Any, fastest: Callable[[], float], seconds: Callable[..., float], tmp_path: Path
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
