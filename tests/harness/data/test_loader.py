from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from harness.config.training import TrainConfig
from harness.data import loader
from harness.data.cache import FrameCache
from harness.data.layouts import list_frames, read_headers
from harness.utils.signals import StoppedWaiting, StopRequest

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

SIZE = 32
FRAMES = 11

Seen = list[tuple[bytes, bytes, tuple[str, ...]]]


@pytest.fixture
def found(draw: Drawer) -> pd.DataFrame:
    return read_headers(
        list_frames(draw.pairs("pairs", tuple(f"x{number}" for number in range(FRAMES))))
    )


@pytest.fixture
def cache(found: pd.DataFrame, tmp_path: Path) -> FrameCache:
    return FrameCache.build(found, SIZE, tmp_path / "cache")


def config(**changes: object) -> TrainConfig:
    values = {"size": SIZE, "batch_size": 4, "augmentation": "light", "workers": 0, **changes}
    return TrainConfig(model="unet", **values)  # type: ignore[arg-type]


def epoch_of(feed: loader.BatchLoader, epoch: int, *, start: int = 0) -> Seen:
    return [
        (images.numpy().tobytes(), masks.numpy().tobytes(), tuple(ids))
        for images, masks, ids in feed.train(epoch, start=start)
    ]


def test_order_is_a_permutation_of_its_own_for_each_seed_and_epoch() -> None:
    orders = [loader.order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1, 2)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert len({order.tobytes() for order in orders}) == 6
    np.testing.assert_array_equal(orders[0], loader.order(0, 0, 50))


@pytest.mark.parametrize("sizes", [[4, 4, 3], [3, 3, 3], [4, 4], [3, 2], [1]])
def test_batches_are_even(sizes: list[int]) -> None:
    cut = loader.batches(np.arange(sum(sizes)), 4)
    assert [len(batch) for batch in cut] == sizes
    np.testing.assert_array_equal(np.concatenate(cut), np.arange(sum(sizes)))


def test_batches_are_bytes_in_channels_last_memory(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(), cache, cache)
    seen = []
    for images, masks, ids in feed.train(0):
        assert images.shape == (len(ids), 3, SIZE, SIZE)
        assert masks.shape == (len(ids), SIZE, SIZE)
        assert images.dtype == masks.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        seen += ids
    assert sorted(seen) == sorted(cache.frames)


def test_workers_are_started_before_a_batch_is_waited_for(cache: FrameCache) -> None:
    """A signal that ends the wait would be lost where it comes as a process forks."""
    feed = loader.BatchLoader(config(workers=1), cache, cache)
    before = set(multiprocessing.active_children())
    epoch = feed.train(0)
    assert len(set(multiprocessing.active_children()) - before) == 1
    assert len(list(epoch)) == feed.steps


def test_ids_name_the_frames(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(augmentation="none"), cache, cache)
    for images, masks, ids in feed.train(3):
        for image, mask, name in zip(images, masks, ids, strict=True):
            index = cache.frames.index(name)
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), cache.images[index])
            np.testing.assert_array_equal(mask.numpy(), cache.masks[index])


def test_steps_are_the_batches_of_every_epoch(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(), cache, cache)
    assert [len(epoch_of(feed, epoch)) for epoch in range(3)] == [feed.steps] * 3 == [3] * 3


def test_any_step_can_be_the_first(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(), cache, cache)
    whole = epoch_of(feed, 2)
    for start in range(len(whole) + 1):
        assert epoch_of(feed, 2, start=start) == whole[start:]


def test_the_input_grows_to_its_full_size(found: pd.DataFrame, tmp_path: Path) -> None:
    whole = FrameCache.build(found, 96, tmp_path / "cache")
    feed = loader.BatchLoader(config(size=96, grow_from=32, epochs=4), whole, whole)

    sides = [images.shape[-1] for epoch in range(4) for images, _, _ in feed.train(epoch)]

    assert sides == [32] * 5 + [64] * 4 + [96] * 3
    later = [images.shape[-1] for images, _, _ in feed.train(1, start=1)]
    assert later == sides[4:6]


def test_no_epoch_repeats_another(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(), cache, cache)
    images = [batch[0] for epoch in range(4) for batch in epoch_of(feed, epoch)]
    assert len(set(images)) == len(images)


# Python 3.12 warns of any fork beside threads; a worker forks before it touches one.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on a single core
@pytest.mark.parametrize("augmentation", ["paper", "light"])
def test_the_number_of_workers_changes_nothing(cache: FrameCache, augmentation: str) -> None:
    alone = loader.BatchLoader(config(augmentation=augmentation), cache, cache)
    expected = [epoch_of(alone, 0), epoch_of(alone, 1), epoch_of(alone, 1, start=1)]
    feed = loader.BatchLoader(config(augmentation=augmentation, workers=2), cache, cache)
    assert [epoch_of(feed, 0), epoch_of(feed, 1), epoch_of(feed, 1, start=1)] == expected
    images = [batch[0] for epoch in expected[:2] for batch in epoch]
    assert len(set(images)) == len(images)


@pytest.mark.skipif(sys.platform != "linux", reason="others start their processes anew")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_are_forked_in_a_process_of_a_fork_server_too(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = multiprocessing.get_context("forkserver")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", default)
    feed = loader.BatchLoader(config(workers=1), cache, cache)

    next(feed.train(0))

    started = {type(child).__name__ for child in multiprocessing.active_children()}
    assert started == {"ForkProcess"}
    loader.end_workers()


def test_batches_for_a_gpu_are_pinned_as_they_are(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(loader.BatchLoader(config(), cache, cache).train(0))
    pinned: list[int] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        copied = tensor.clone()  # as torch's own, in the same memory format
        pinned.append(id(copied))
        return copied

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    got = list(loader.BatchLoader(config(), cache, cache, pin=True).train(0))

    assert [id(tensor) for batch in got for tensor in batch[:2]] == pinned
    for (images, masks, ids), (own_images, own_masks, own_ids) in zip(got, expected, strict=True):
        assert torch.equal(images, own_images)
        assert torch.equal(masks, own_masks)
        assert ids == own_ids
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_the_global_generator_stays_where_it_is(cache: FrameCache) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epoch_of(loader.BatchLoader(config(), cache, cache), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_share_each_batch(cache: FrameCache) -> None:
    alone = loader.BatchLoader(config(batch_size=8), cache, cache)
    two = [
        loader.BatchLoader(config(batch_size=8), cache, cache, rank=rank, world_size=2)
        for rank in range(2)
    ]
    assert {feed.steps for feed in two} == {alone.steps}
    for whole, first, second in zip(
        epoch_of(alone, 1), epoch_of(two[0], 1), epoch_of(two[1], 1), strict=True
    ):
        assert first[2] == second[2] == whole[2]
        # Frame by frame, in turns: what one process computes is neither lost nor done twice.
        frames = len(whole[2])
        halves = [
            np.frombuffer(part[0], np.uint8).reshape(-1, 3, SIZE, SIZE) for part in (first, second)
        ]
        expected = np.frombuffer(whole[0], np.uint8).reshape(frames, 3, SIZE, SIZE)
        np.testing.assert_array_equal(expected[0::2], halves[0])
        np.testing.assert_array_equal(expected[1::2], halves[1])


def test_processes_share_the_batches_of_validation(cache: FrameCache) -> None:
    alone = list(loader.BatchLoader(config(), cache, cache).validation())
    shares = [
        list(loader.BatchLoader(config(), cache, cache, rank=rank, world_size=2).validation())
        for rank in range(2)
    ]
    assert [len(share) for share in shares] == [2, 1]
    for at, (images, masks) in enumerate(alone):
        theirs = shares[at % 2][at // 2]
        assert torch.equal(images, theirs[0])
        assert torch.equal(masks, theirs[1])


def test_validation_is_every_frame_as_it_is(cache: FrameCache) -> None:
    feed = loader.BatchLoader(config(), cache, cache)
    pairs = list(feed.validation())
    images = torch.cat([pair[0] for pair in pairs]).permute(0, 2, 3, 1).numpy()
    masks = torch.cat([pair[1] for pair in pairs]).numpy()
    np.testing.assert_array_equal(images, cache.images)
    np.testing.assert_array_equal(masks, cache.masks)


def test_workers_are_as_many_as_shared_memory_holds_the_batches_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = config(size=256, batch_size=8)
    batch = 8 * 256 * 256 * 4

    def fit(workers: int, batches: float, trainings: int = 1) -> int:
        usage = SimpleNamespace(free=int(batches * batch))
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        return loader.workers_that_fit(workers, recipe, trainings=trainings, shared=tmp_path)

    assert fit(2, 100) == 2
    assert fit(3, 10) == 2
    assert fit(3, 20, trainings=2) == 2
    assert fit(3, 0.5) == 0
    assert loader.workers_that_fit(3, recipe, shared=tmp_path / "none") == 3


def test_workers_that_hang_are_ended_at_once(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr(loader.AugmentedFrames, "__getitems__", hang)
    waiting = loader.BatchLoader(config(workers=1), cache, cache)
    batches = waiting.train(0)
    with StopRequest() as stop, pytest.raises(StoppedWaiting), stop.at_once():
        next(batches)
    before = multiprocessing.active_children()

    loader.end_workers()

    assert [process.exitcode for process in before] == [-signal.SIGKILL]


def test_a_worker_that_dies_or_hands_over_nothing_ends_the_wait(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(loader.AugmentedFrames, "__getitems__", lambda *_: time.sleep(60))
    waiting = loader.BatchLoader(config(workers=1), cache, cache)

    with pytest.raises(RuntimeError, match="timed out") as late:
        next(waiting.train(0))
    monkeypatch.setattr(loader.AugmentedFrames, "__getitems__", lambda *_: os._exit(1))
    dying = loader.BatchLoader(config(workers=1), cache, cache)
    with pytest.raises(RuntimeError, match="DataLoader worker") as dead:
        next(dying.train(0))
    loader.end_workers()  # torch would wait for the one that sleeps

    assert loader.is_lost_worker(late.value)
    assert loader.is_lost_worker(dead.value)
    assert not loader.is_lost_worker(RuntimeError("shapes differ"))


def test_the_pinning_thread_ends_silently_with_its_workers(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(error: Exception) -> str:
        def _pin_memory_loop() -> None:  # as torch's is called
            raise error

        thread = threading.Thread(target=_pin_memory_loop)
        thread.start()
        thread.join()
        return capsys.readouterr().err

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    loader.BatchLoader(config(workers=1), cache, cache, pin=True)

    assert said(ConnectionResetError(104, "Connection reset by peer")) == ""
    assert said(EOFError()) == ""
    assert "RuntimeError: CUDA error" in said(RuntimeError("CUDA error"))
