"""Frames in, masks at the frames' own sizes out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.data.frames import find_unreadable, read_image
from harness.inference.postprocess import (
    argmax_labels,
    resize_map,
    upsample_and_decide,
    upsample_and_decide_on_device,
)
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs.run import Run
from harness.utils import device as devices
from metrics.utils.errors import Fault, FaultsError

SIZES = [(40, 60), (33, 47), (64, 64), (120, 50), (31, 90)]
CPU = torch.device("cpu")


class Bright(nn.Module):
    """Says that bright pixels are polyp: probability of half of them above one half."""

    def forward(self, images: Tensor) -> Tensor:
        polyp = images[:, :1] / 255
        return torch.cat([1 - polyp, polyp], dim=1)


def predictor(batch_size: int = 2) -> Predictor:
    return Predictor(Bright(), size=32, inference=Inference(device=CPU, batch_size=batch_size))


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Frames of several sizes whose left part, of a share of its own, is white."""
    paths = []
    for index, (height, width) in enumerate(SIZES):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[:, : width * (index + 1) // 8] = 255
        paths.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(paths[-1]), pixels)
    return paths


def test_masks_have_the_frames_own_sizes_in_their_order(frames: list[Path]) -> None:
    predictions = list(predictor().predict(frames))

    assert [p.image for p in predictions] == frames
    assert [p.mask.shape for p in predictions] == SIZES
    assert all(p.mask.dtype == np.bool_ for p in predictions)
    assert all(p.probabilities.dtype == np.float32 for p in predictions)
    shares = [p.mask.mean() for p in predictions]
    assert shares == pytest.approx([(i + 1) / 8 for i in range(5)], abs=0.04)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 8])
def test_the_size_of_the_batches_changes_nothing(frames: list[Path], batch_size: int) -> None:
    reference = [p.mask for p in predictor().predict(frames)]
    masks = [p.mask for p in predictor(batch_size).predict(frames)]

    assert all(np.array_equal(one, two) for one, two in zip(reference, masks, strict=True))


@pytest.mark.parametrize("device", ["cpu", "other"])
def test_rounded_at_either_size(frames: list[Path], device: str) -> None:
    # A slope from 0 to 1 crosses one half in the middle. Rounded first, what is cut is a step
    # between two pixels of the network; resized first, the slope itself: the column may differ.
    slope = np.tile(np.linspace(0, 1, 8, dtype=np.float32) ** 2, (8, 1))
    size = (8, 80)
    by_hand = {
        "full-size": (resize_map(slope, height=8, width=80) > 0.5).sum(axis=1),
        "network-size": np.full(8, 10 * int((slope[0] > 0.5).sum())),
    }

    for rounding in ("full-size", "network-size"):
        if device == "cpu":
            mask = upsample_and_decide(slope[None], size, rounding)
        else:
            mask = upsample_and_decide_on_device(
                torch.from_numpy(slope[None]), size, rounding
            ).numpy()
        assert mask.sum(axis=1).tolist() == by_hand[rounding].tolist()
    assert by_hand["full-size"][0] != by_hand["network-size"][0]


def test_where_it_is_rounded_reaches_the_masks(frames: list[Path]) -> None:
    inference = Inference(device=CPU, rounding="network-size")
    made = list(Predictor(Bright(), size=32, inference=inference).predict(frames))

    assert inference.settings["rounding"] == "network-size"
    for prediction in made:
        expected = upsample_and_decide(
            prediction.probabilities, prediction.mask.shape, "network-size"
        )
        assert np.array_equal(prediction.mask, expected)


def test_pixels_are_predicted_as_files_are(frames: list[Path]) -> None:
    read = ((path, cv2.imread(str(path))[:, :, ::-1]) for path in frames)

    masks = [p.mask for p in predictor().predict_pixels(read)]

    expected = [p.mask for p in predictor().predict(frames)]
    assert all(np.array_equal(one, two) for one, two in zip(masks, expected, strict=True))


def test_frames_are_read_as_masks_are_taken(frames: list[Path]) -> None:
    taken: list[int] = []

    def endless() -> Iterator[tuple[Path, np.ndarray]]:
        for number in count():
            taken.append(number)
            frame = frames[number % len(frames)]
            yield frame, read_image(frame)

    stream = predictor(batch_size=2).predict_pixels(endless())
    for _ in range(10):
        next(stream)
    stream.close()

    # Decoded ahead, two batches and one more with the network, and behind it.
    ahead = max(4, devices.cores())
    assert 10 <= len(taken) <= 10 + ahead + 3 * 2 + ahead


def test_one_half_is_background() -> None:
    class Undecided(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 2, 32, 32), 0.5)

    made = Predictor(Undecided(), size=32, inference=Inference(device=CPU))

    assert not made.probabilities(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).gt(0.5).any()


def test_augmentation_changes_little_where_each_pixel_decides_alone(frames: list[Path]) -> None:
    plain = list(predictor().predict(frames))
    inference = Inference(device=CPU, batch_size=2, tta=True)
    averaged = list(Predictor(Bright(), size=32, inference=inference).predict(frames))

    for one, two in zip(plain, averaged, strict=True):
        assert (one.mask != two.mask).mean() < 0.05


def test_every_frame_says_how_long_it_took(frames: list[Path]) -> None:
    assert all(p.latency_ms > 0 for p in predictor().predict(frames))


@pytest.mark.parametrize("tta", [False, True])
def test_slow_first_calls_are_no_part_of_the_latency(
    frames: list[Path], tta: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count()
    monkeypatch.setattr(
        "harness.inference.predictor.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )

    class SlowAtFirst(Bright):
        """The first batch of each shape takes an hour."""

        def __init__(self) -> None:
            super().__init__()
            self.shapes: set[torch.Size] = set()

        def forward(self, images: Tensor) -> Tensor:
            if images.shape not in self.shapes and images.shape[2] != 64:  # the engine's trial
                self.shapes.add(images.shape)
                for _ in range(3600):
                    next(clock)
            return super().forward(images)

    network = SlowAtFirst()
    inference = Inference(device=CPU, batch_size=2, tta=tta)
    made = Predictor(network, size=128, inference=inference)
    made._is_warm = False  # as on a GPU
    predictions = list(made.predict(frames))

    (member,) = made.engine.members
    assert {shape[2] for shape in member.shapes} == ({96, 128, 160} if tta else {128})
    assert all(p.latency_ms < 3600 * 1000 / 10 for p in predictions)


@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_warm_up_is_once_a_predictor_and_only_for_a_gpu(
    frames: list[Path], on_gpu: bool
) -> None:
    class Counting(Bright):
        calls = 0

        def forward(self, images: Tensor) -> Tensor:
            type(self).calls += 1
            return super().forward(images)

    made = Predictor(Counting(), size=32, inference=Inference(device=CPU, batch_size=2))
    assert made._is_warm
    made._is_warm = not on_gpu
    before = Counting.calls
    masks = [p.mask for p in made.predict(frames)]
    again = [p.mask for p in made.predict(frames)]

    assert Counting.calls - before == on_gpu + 2 * len(frames)
    assert all(np.array_equal(one, two) for one, two in zip(masks, again, strict=True))


def test_no_frames_no_predictions() -> None:
    assert list(predictor().predict([])) == []


def test_every_frame_that_cannot_be_read_is_named(frames: list[Path]) -> None:
    for number in (1, 3):
        frames[number].write_bytes(frames[number].read_bytes()[:60])

    with pytest.raises(FaultsError, match=r"(?s)1\.png.*3\.png"):
        list(predictor().predict(frames))


def test_a_frame_that_can_be_read_a_moment_later_is_named(
    frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frames[1].read_bytes()
    frames[1].write_bytes(b"not yet")

    def find_later(images: list[Path]) -> list[Fault]:
        frames[1].write_bytes(whole)
        return find_unreadable(images)

    monkeypatch.setattr("harness.inference.predictor.find_unreadable", find_later)
    with pytest.raises(FaultsError, match=r"1\.png: expected"):
        list(predictor().predict(frames))


def test_frames_that_cannot_be_read_are_left_out_where_asked(frames: list[Path]) -> None:
    frames[3].write_bytes(b"")
    faults: list[Fault] = []

    predicted = predictor(batch_size=2).predict(frames, on_fault=faults.append)

    assert [p.image for p in predicted] == [*frames[:3], *frames[4:]]
    assert [str(frames[3]) in fault.message for fault in faults] == [True]


def test_maps_are_resized_bilinearly() -> None:
    # The oracle is torch's interpolation with the same convention of pixel centres.
    small = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    oracle = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None, None], (21, 13), mode="bilinear", align_corners=False
    )

    assert np.allclose(resize_map(small, height=21, width=13), oracle[0, 0].numpy(), atol=1e-6)


def test_a_pixel_is_of_its_most_probable_class() -> None:
    polyp = np.array([[0.2, 0.6, 0.3, 0.25, 0.5]], np.float32)
    instrument = np.array([[0.2, 0.3, 0.4, 0.5, 0.0]], np.float32)

    # The background has 0.6, 0.1, 0.3, 0.25 and 0.5; of equals it comes first.
    assert argmax_labels([polyp, instrument]).tolist() == [[0, 1, 2, 2, 0]]


def test_one_class_by_argmax_is_one_class_rounded() -> None:
    half = np.float32(0.5)
    near = [np.nextafter(half, np.float32(end)) for end in (0, 1)]
    values = np.random.default_rng(0).random(10_000, dtype=np.float32)
    polyp = np.concatenate([values, [0, half, *near, 1]]).astype(np.float32)[None]

    assert argmax_labels([polyp]).dtype == np.bool_
    assert np.array_equal(argmax_labels([polyp]), argmax_labels([polyp, np.zeros_like(polyp)]) == 1)


@pytest.mark.parametrize("rounding", ["full-size", "network-size"])
def test_classes_are_decided_alike_on_both_sides(rounding: str) -> None:
    raw = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    every = np.exp(raw) / np.exp(raw).sum(axis=0)

    labels = upsample_and_decide(every[1:], (80, 56), rounding)
    there = upsample_and_decide_on_device(torch.from_numpy(every[1:]), (80, 56), rounding).numpy()

    assert set(np.unique(labels)) == {0, 1, 2}
    assert np.mean(labels != there) < 0.001  # the two resize in another order of additions
    if rounding == "full-size":
        full = np.stack([resize_map(one, height=80, width=56) for one in every])
        assert np.mean(labels != full.argmax(axis=0)) < 0.001
    else:
        middles = labels[5::10, 3::7]  # of 10 x 7 pixels each, where the network's pixel decides
        assert np.array_equal(middles, every.argmax(axis=0))


@pytest.mark.parametrize("size", [(54, 96), (64, 64), (15, 40), (65, 31)])
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("rounding", ["full-size", "network-size"])
def test_the_device_decides_as_the_cpu_does_but_for_ties(
    rounding: str, classes: int, size: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(classes)
    coarse = torch.randn(1, 1 + classes, 6, 6, generator=generator) * 3
    logits = torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic")[0]
    maps = logits.softmax(dim=0)[1:].contiguous()

    here = upsample_and_decide(maps.numpy(), size, rounding)
    there = upsample_and_decide_on_device(maps, size, rounding)

    assert there.dtype == (torch.bool if classes == 1 else torch.uint8)
    assert set(np.unique(here)) == set(range(1 + classes))
    if rounding == "network-size":
        decided = argmax_labels(maps.numpy())
        maps = torch.stack([torch.from_numpy(decided == 1 + i).float() for i in range(classes)])
    full = np.stack([resize_map(one, height=size[0], width=size[1]) for one in maps.numpy()])
    every = np.sort(np.concatenate([1 - full.sum(axis=0, keepdims=True), full]), axis=0)
    tie = every[-1] - every[-2] < 1e-5
    assert tie.mean() < 0.1
    assert np.array_equal(here[~tie], there.numpy()[~tie])


@pytest.mark.parametrize(
    ("settings", "members", "expected"),
    [
        ({"tta": True}, {}, True),
        ({}, {}, False),  # a run of a version without the setting
        (
            {"members": {"unet": {"tta": True}, "fpn": {"tta": True}}},
            {"unet": "a", "fpn": "b"},
            True,
        ),
        ({"members": {"unet": {"tta": True}, "fpn": {}}}, {"unet": "a", "fpn": "b"}, False),
    ],
)
def test_augmentation_at_test_time_is_the_recipes_unless_given(
    settings: dict[str, Any], members: dict[str, str], expected: bool
) -> None:
    run = Run(
        run="r",
        model="m",
        status="finished",
        folder=Path("r"),
        settings=settings,
        members=members,
        row={},
    )

    assert Inference(device=CPU).of(run).tta is expected
    assert Inference(device=CPU, tta=False).of(run).tta is False
    assert Inference(device=CPU, tta=True).of(run).settings["tta"] is True


MANY_MEMBERS = """
import sys
from pathlib import Path
import numpy as np
import torch
from torch import nn
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from models.divergentnets import DivergentNets

# VmHWM starts anew with the program; ru_maxrss would carry over the peak of the parent.
def peak(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10

torch.manual_seed(0)
members = {str(number): nn.Conv2d(3, 2, 3, padding=1) for number in range(12)}
network = DivergentNets(members).eval()
inference = Inference(device=torch.device("cpu"), batch_size=4)
rng = np.random.default_rng(0)
frames = ((Path(str(n)), rng.integers(0, 256, (500, 500, 3), np.uint8)) for n in range(160))
with torch.inference_mode():
    predictor = Predictor(network, size=512, inference=inference, uncertainty=True)
    for number, _ in enumerate(predictor.predict_pixels(frames)):
        if number == 30:
            early = peak()
print(peak() - early)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_stays_flat_with_twelve_members() -> None:
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "OMP_NUM_THREADS": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-c", MANY_MEMBERS],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )

    # All maps of the 130 frames after the first would take 130 x 12 members x 2 classes x 1 MiB.
    assert int(ended.stdout) < 100, ended.stderr
