"""Reading files of ``torch.save`` without running code in them."""

from __future__ import annotations

import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

import models
from models import safe_unpickle
from models.safe_unpickle import Checkpoint, Inert, StoredTensor

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def saved(content: object, path: Path, *, zipped: bool) -> Checkpoint:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return safe_unpickle.read(path)


def values(checkpoint: Checkpoint, stored: Any) -> torch.Tensor:
    assert isinstance(stored, StoredTensor)
    return checkpoint.tensor(stored)


def tensor_in(path: Path) -> torch.Tensor:
    checkpoint = safe_unpickle.read(path)
    return values(checkpoint, checkpoint.content["t"])


class Touch:
    """Pickled as a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os.mkdir, (str(self.path),))


@FORMATS
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6, dtype=torch.float32).view(2, 3),
        torch.arange(6).view(2, 3).t(),
        torch.arange(10)[3:9:2],
        torch.zeros(1).expand(4, 5),
        torch.zeros(0, 3),
        torch.tensor(7),
        torch.tensor([True, False]),
        torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
        torch.tensor([1.5, 2.5], dtype=torch.float16),
        torch.tensor([1, 255], dtype=torch.uint8),
        torch.nn.Parameter(torch.tensor([0.5])),
    ],
    ids=lambda tensor: f"{tensor.dtype}-{tuple(tensor.shape)}",
)
def test_tensors_are_those_that_were_saved(
    tmp_path: Path, tensor: torch.Tensor, zipped: bool
) -> None:
    checkpoint = saved({"t": tensor}, tmp_path / "c.pth", zipped=zipped)

    read = values(checkpoint, checkpoint.content["t"])

    assert read.dtype == tensor.dtype
    assert torch.equal(read, tensor)


@FORMATS
def test_plain_containers_are_read(tmp_path: Path, zipped: bool) -> None:
    content = {"epoch": 3, "names": ["a", ("b", None)], "o": OrderedDict(x=1.5), "s": {1, 2}}

    assert saved(content, tmp_path / "c.pth", zipped=zipped).content == content


@FORMATS
def test_tensors_share_their_values_as_before(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(8)
    checkpoint = saved([whole, whole[2:4]], tmp_path / "c.pth", zipped=zipped)

    first, part = checkpoint.content

    assert first.storage == part.storage
    assert values(checkpoint, part).tolist() == [2, 3]


@FORMATS
def test_no_call_in_a_file_is_made(tmp_path: Path, zipped: bool) -> None:
    content = {"weights": torch.ones(2), "evil": Touch(tmp_path / "ran")}

    checkpoint = saved(content, tmp_path / "c.pth", zipped=zipped)

    assert isinstance(checkpoint.content["evil"], Inert)
    assert type(checkpoint.content["evil"]).origin == f"{os.mkdir.__module__}.mkdir"
    assert values(checkpoint, checkpoint.content["weights"]).tolist() == [1, 1]
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "c.pth", weights_only=False)  # the usual reader makes the call
    assert (tmp_path / "ran").exists()


@FORMATS
def test_a_network_is_inert_and_keeps_its_state(tmp_path: Path, zipped: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3))
    checkpoint = saved(network, tmp_path / "c.pth", zipped=zipped)

    assert type(checkpoint.content).origin.endswith("container.Sequential")
    linear = checkpoint.content.state["_modules"]["0"]
    assert torch.equal(values(checkpoint, linear.state["_parameters"]["weight"]), network[0].weight)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_of_pickle_is_inert(tmp_path: Path, protocol: int) -> None:
    torch.save({"evil": Touch(tmp_path / "ran")}, tmp_path / "c.pth", pickle_protocol=protocol)

    assert isinstance(safe_unpickle.read(tmp_path / "c.pth").content["evil"], Inert)
    assert not (tmp_path / "ran").exists()


@FORMATS
def test_a_file_cut_off_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "c.pth"
    whole = torch.arange(1000)
    torch.save({"t": whole}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()

    for length in (0, 1, 100, len(data) // 2, len(data) - 8):
        path.write_bytes(data[:length])
        with pytest.raises(models.ModelError, match=r"c\.pth"):
            tensor_in(path)


def in_zip(path: Path, pickled: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in entries.items():
            archive.writestr(f"archive/{name}", data)
    return path


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"\x80\x02r\xff\xff\xff\x7f.", "UnpicklingError|at will|ValueError"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers its objects at will"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.", "expected a file of torch.save"),
        (b"\x80\x02U\x04junkQ.", "expected a file of torch.save"),
        (b"no pickle", "expected a file of torch.save"),
        (b"", "expected a file of torch.save"),
    ],
)
def test_a_pickle_that_lies_is_refused(tmp_path: Path, pickled: bytes, message: str) -> None:
    with pytest.raises(models.ModelError, match=message):
        safe_unpickle.read(in_zip(tmp_path / "c.pth", pickled))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (3,), (1,)), (1, (2,), (1,)), (0, (2,), (2,)), (-1, (1,), (1,)), (0, (2,), (1, 1))],
)
def test_a_tensor_beyond_its_values_is_refused(
    offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    storage = safe_unpickle.Storage(torch.float32, "0", 2)

    with pytest.raises(ValueError, match="a tensor"):
        StoredTensor(storage, offset, shape, stride)


def test_values_that_are_compressed_or_short_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({"t": torch.arange(4)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}

    for kind, cut in ((zipfile.ZIP_DEFLATED, 0), (zipfile.ZIP_STORED, 8)):
        with zipfile.ZipFile(path, "w", kind) as archive:
            for name, data in entries.items():
                short = name.endswith("/data/0") and cut
                archive.writestr(name, data[:-cut] if short else data)
        with pytest.raises(models.ModelError, match="cut off"):
            tensor_in(path)


def test_values_that_were_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({"t": torch.full((100,), 7, dtype=torch.uint8)}, path)
    path.write_bytes(path.read_bytes().replace(b"\x07" * 100, b"\x07" * 99 + b"\x08"))

    with pytest.raises(models.ModelError, match=r"cannot read the values 0 .*Bad CRC"):
        tensor_in(path)


def test_a_legacy_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    header = (safe_unpickle._LEGACY_MAGIC, safe_unpickle._LEGACY_PROTOCOL, {"little_endian": True})
    data = b"".join(pickle.dumps(part, 2) for part in (*header, {}, ["unknown"]))
    path.write_bytes(data + struct.pack("<q", 4) + bytes(16))

    with pytest.raises(models.ModelError, match="contradicts itself about the values unknown"):
        safe_unpickle.read(path)


def test_another_byte_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(models.ModelError, match="big-endian"):
        safe_unpickle.read(in_zip(tmp_path / "c.pth", pickle.dumps({}), byteorder=b"big"))


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(models.ModelError, match=r"cannot read .*nowhere"):
        safe_unpickle.read(tmp_path / "nowhere.pth")


def test_a_pickle_of_endless_lists_is_refused_before_they_are_made(tmp_path, monkeypatch) -> None:
    path = tmp_path / "c.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"]" * 100_000 + b".")
    monkeypatch.setattr(safe_unpickle, "_MOST_STEPS", 50_000)
    with pytest.raises(models.ModelError, match="larger than a network's"):
        safe_unpickle.read(path)


def test_a_tar_is_told_from_other_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "c.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(models.ModelError, match="a tar, as the first versions"):
        safe_unpickle.read(tmp_path / "c.pth")
