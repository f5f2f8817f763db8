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
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

import models
from models import safe_unpickle
from models.safe_unpickle import Inert

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def saved(content: object, path: Path, *, zipped: bool) -> Any:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return safe_unpickle.read(path)


class Touch:
    """Pickled as a call that makes a folder."""

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
    read = saved({"t": tensor}, tmp_path / "c.pth", zipped=zipped)["t"]

    assert read.dtype == tensor.dtype
    assert torch.equal(read, tensor)


@FORMATS
def test_plain_containers_are_read(tmp_path: Path, zipped: bool) -> None:
    content = {"epoch": 3, "names": ["a", ("b", None)], "o": OrderedDict(x=1.5), "s": {1, 2}}

    assert saved(content, tmp_path / "c.pth", zipped=zipped) == content


@FORMATS
def test_no_call_in_a_file_is_made(tmp_path: Path, zipped: bool) -> None:
    content = {"weights": torch.ones(2), "evil": Touch(tmp_path / "ran")}

    read = saved(content, tmp_path / "c.pth", zipped=zipped)

    assert isinstance(read["evil"], Inert)
    assert type(read["evil"]).origin == f"{os.mkdir.__module__}.mkdir"
    assert read["weights"].tolist() == [1, 1]
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "c.pth", weights_only=False)  # the usual reader makes the call
    assert (tmp_path / "ran").exists()


@FORMATS
def test_a_network_is_inert_and_keeps_its_state(tmp_path: Path, zipped: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3))
    read = saved(network, tmp_path / "c.pth", zipped=zipped)

    assert type(read).origin.endswith("container.Sequential")
    linear = read.state["_modules"]["0"]
    assert torch.equal(linear.state["_parameters"]["weight"], network[0].weight)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_of_pickle_is_inert(tmp_path: Path, protocol: int) -> None:
    torch.save({"evil": Touch(tmp_path / "ran")}, tmp_path / "c.pth", pickle_protocol=protocol)

    assert isinstance(safe_unpickle.read(tmp_path / "c.pth")["evil"], Inert)
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
            safe_unpickle.read(path)


def in_zip(path: Path, pickled: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {"data.pkl": pickled, "version": b"3", **entries}.items():
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


class Lie:
    """Pickled as a tensor of other values, shape and strides than there are."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (torch._utils._rebuild_tensor_v2, (*self.arguments, False, OrderedDict()))


@FORMATS
@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (3,), (1,)), (1, (2,), (1,)), (0, (2,), (2,)), (-1, (1,), (1,)), (0, (2,), (1, 1)),
     (0, (2**40,), (1,))],
)  # fmt: skip
def test_a_tensor_beyond_its_values_is_refused(
    tmp_path: Path, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], zipped: bool
) -> None:
    lie = Lie(
        torch.storage.TypedStorage([0.0] * 2, dtype=torch.float32, _internal=True),
        offset,
        shape,
        stride,
    )

    with pytest.raises(models.ModelError, match="cannot read"):
        saved({"t": lie}, tmp_path / "c.pth", zipped=zipped)


def test_values_that_are_compressed_or_short_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({"t": torch.arange(4)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}

    cases = ((zipfile.ZIP_DEFLATED, 0, "compressed"), (zipfile.ZIP_STORED, 8, "record size"))
    for kind, cut, message in cases:
        with zipfile.ZipFile(path, "w", kind) as archive:
            for name, data in entries.items():
                short = name.endswith("/data/0") and cut
                archive.writestr(name, data[:-cut] if short else data)
        with pytest.raises(models.ModelError, match=message):
            safe_unpickle.read(path)


def test_values_that_were_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({"t": torch.full((100,), 7, dtype=torch.uint8)}, path)
    path.write_bytes(path.read_bytes().replace(b"\x07" * 100, b"\x07" * 99 + b"\x08"))

    with pytest.raises(models.ModelError, match=r"data/0 is damaged"):
        safe_unpickle.read(path)


def test_a_legacy_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    header = (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True})
    data = b"".join(pickle.dumps(part, 2) for part in (*header, {}, ["unknown"]))
    path.write_bytes(data + struct.pack("<q", 4) + bytes(16))

    with pytest.raises(models.ModelError, match="'unknown' not found"):
        safe_unpickle.read(path)


def test_a_torchscript_archive_is_not_started(tmp_path: Path) -> None:
    path = in_zip(tmp_path / "c.pth", pickle.dumps({}, 2), **{"constants.pkl": b""})

    with pytest.raises(models.ModelError, match="TorchScript"):
        safe_unpickle.read(path)


def test_attributes_hide_no_method_of_a_dictionary(tmp_path: Path) -> None:
    # collections.OrderedDict(), its attribute "values" set to a class of the file's own.
    pickled = b"\x80\x02ccollections\nOrderedDict\n)R}X\x06\0\0\0valuesca\nB\nsb."
    content = safe_unpickle.read(in_zip(tmp_path / "c.pth", pickled))

    assert list(content.values()) == []


def test_attributes_change_no_function_of_torch(tmp_path: Path) -> None:
    # torch._utils._rebuild_tensor_v2, its attribute __defaults__ set to (5,).
    pickled = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\0\0\0__defaults__K\x05\x85s\x86b."
    )
    before = torch._utils._rebuild_tensor_v2.__defaults__

    safe_unpickle.read(in_zip(tmp_path / "c.pth", pickled))

    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(models.ModelError, match=r"cannot read .*nowhere"):
        safe_unpickle.read(tmp_path / "nowhere.pth")


def test_a_pickle_of_endless_lists_is_refused_before_they_are_made(tmp_path, monkeypatch) -> None:
    path = in_zip(tmp_path / "c.pth", b"\x80\x02" + b"]" * 100_000 + b".")
    monkeypatch.setattr(safe_unpickle, "_MOST_STEPS", 50_000)
    with pytest.raises(models.ModelError, match="larger than a network's"):
        safe_unpickle.read(path)


def test_a_tar_is_told_from_other_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "c.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(models.ModelError, match="a tar, as the first versions"):
        safe_unpickle.read(tmp_path / "c.pth")
