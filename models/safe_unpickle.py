"""Reading what ``torch.save`` wrote, of any age, without running code in it.

A pickle names classes and functions, and the usual reader imports and calls them. This one imports
nothing: tensors and plain containers are read, everything else becomes an inert stand-in that only
remembers its name and its state. A network that was pickled whole can so be looked through even
where the package that defined it is not installed, or means harm.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import torch
from torch import Tensor

from models.errors import ModelError

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001
_LARGEST_PICKLE: Final = 256 * 2**20  # without the tensors' values; a large network takes 2 MiB
_SHOWN: Final = 200  # characters of what went wrong; it may quote the file
_MOST_STEPS: Final = 4_000_000  # of a pickle; a large network takes a tenth of them
_DTYPES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Inert:
    """Stands in for an object of any class: keeps its state, does nothing.

    Attributes:
        origin: Module and name of the class, as the file has them.
        state: What the object would have restored itself from; ``None`` if nothing.
    """

    origin: ClassVar[str] = ""
    state: Any = None

    def __init__(self, *_arguments: object, **_keywords: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, _key: object, _value: object) -> None:
        pass

    def append(self, _item: object) -> None:
        """Take an item as a list would, and forget it."""

    def extend(self, _items: object) -> None:
        """Take items as a list would, and forget them."""


@dataclass(frozen=True)
class Storage:
    """Where the values of tensors lie in the file.

    Attributes:
        dtype: Type of a value.
        key: Name of the storage.
        count: Number of values.
        start: First value, where several tensors see parts of one storage.
    """

    dtype: torch.dtype
    key: str
    count: int
    start: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose values are still in the file.

    Attributes:
        storage: Where they lie.
        offset: First value, counted from the storage's start.
        shape: Length of each dimension.
        stride: Values between neighbours, along each dimension.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a tensor that reaches beyond its storage."""
        numbers = (self.offset, *self.shape, *self.stride)
        whole = all(type(number) is int and number >= 0 for number in numbers)
        if not whole or len(self.shape) != len(self.stride):
            raise ValueError("a tensor whose shape makes no sense")
        last = self.offset + sum(
            (length - 1) * step for length, step in zip(self.shape, self.stride, strict=True)
        )
        if 0 not in self.shape and last >= self.storage.count:
            raise ValueError("a tensor that reaches beyond its values")


class Checkpoint:
    """The content of a file, with tensors that are read when they are asked for.

    Attributes:
        content: Plain containers, numbers and text, :class:`StoredTensor` and :class:`Inert`.
    """

    def __init__(self, content: object, read: Callable[[Storage], bytes]) -> None:
        self.content = content
        self._read = read
        self._values: dict[str, Tensor] = {}

    def tensor(self, stored: StoredTensor) -> Tensor:
        """A tensor with its values, contiguous and on the CPU.

        Raises:
            ModelError: If the values are cut off or damaged.
        """
        storage = stored.storage
        if storage.key not in self._values:
            self._values[storage.key] = self._all_values(storage)
        values = self._values[storage.key]
        if values.dtype != storage.dtype:
            raise ModelError(f"the values {storage.key} are said to be of two types")
        start = storage.start + stored.offset
        return values.as_strided(stored.shape, stored.stride, start).clone().contiguous()

    def _all_values(self, storage: Storage) -> Tensor:
        try:
            data = bytearray(self._read(storage))
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelError(f"cannot read the values {storage.key} ({error})") from error
        if not data:
            return torch.empty(0, dtype=storage.dtype)
        return torch.frombuffer(data, dtype=storage.dtype)


def read(path: Path) -> Checkpoint:
    """Read a file of ``torch.save``: a zip, or the older form that is no archive.

    Args:
        path: The file.

    Raises:
        ModelError: If it is neither, is cut off, or contradicts itself.
    """
    try:
        if not zipfile.is_zipfile(path) and tarfile.is_tarfile(path):
            raise ModelError(
                f"{path} is a tar, as the first versions of PyTorch wrote; load it in PyTorch and "
                "save it again"
            )
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except ModelError:
        raise
    except Exception as error:  # a pickle can fail in any way
        raise ModelError(
            f"cannot read {path}: expected a file of torch.save ({type(error).__name__}: "
            f"{str(error)[:_SHOWN]})"
        ) from error


def _read_zip(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        (pickled,) = (name for name in entries if name.split("/")[1:] == ["data.pkl"])
        root = pickled.split("/")[0]
        order = entries.get(f"{root}/byteorder")
        if order and archive.read(order).strip() != b"little":
            raise ModelError(f"{path} was written on a big-endian machine; it cannot be read")
        if entries[pickled].file_size > _LARGEST_PICKLE:
            raise ModelError(f"{path} holds a pickle of {entries[pickled].file_size} bytes")
        with archive.open(entries[pickled]) as file:
            content = _unpickle(io.BytesIO(file.read(_LARGEST_PICKLE)))

    def values(storage: Storage) -> bytes:
        entry = entries.get(f"{root}/data/{storage.key}")
        expected = _bytes(storage)
        if entry is None or entry.file_size < expected or entry.compress_type:
            raise ModelError(f"{path} is cut off: the values {storage.key} are not whole")
        with zipfile.ZipFile(path) as archive, archive.open(entry) as file:
            return file.read()

    return Checkpoint(content, values)


def _read_legacy(path: Path) -> Checkpoint:
    with path.open("rb") as file:
        if _unpickle(file) != _LEGACY_MAGIC or _unpickle(file) != _LEGACY_PROTOCOL:
            raise ModelError(f"{path} is no file of torch.save")
        system = _unpickle(file)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ModelError(f"{path} was written on a big-endian machine; it cannot be read")
        storages: dict[str, Storage] = {}
        content = _unpickle(file, storages)
        places: dict[str, tuple[int, int]] = {}
        keys = _unpickle(file)
        for key in keys if isinstance(keys, list) else []:
            count = struct.unpack("<q", file.read(8))[0]
            if key not in storages or count < 0:
                raise ModelError(f"{path} contradicts itself about the values {key}")
            length = count * storages[key].dtype.itemsize
            places[key] = (file.tell(), length)
            file.seek(length, 1)

    def values(storage: Storage) -> bytes:
        start, length = places.get(storage.key, (0, 0))
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(min(length, path.stat().st_size))
        if len(data) != length or length < _bytes(storage):
            raise ModelError(f"{path} is cut off: the values {storage.key} are not whole")
        return data

    return Checkpoint(content, values)


def _bytes(storage: Storage) -> int:
    return (storage.start + storage.count) * storage.dtype.itemsize


def _unpickle(file: IO[bytes], storages: dict[str, Storage] | None = None) -> Any:
    """The next pickle of a file that can be read twice."""
    start = file.tell()
    _check_opcodes(file, start)
    file.seek(start)
    return _Reader(file, storages).load()


def _check_opcodes(file: IO[bytes], start: int) -> None:
    """Refuse a pickle that asks for more memory than an honest one of its length could."""
    for step, (code, argument, position) in enumerate(pickletools.genops(file)):
        passed = (position or start) - start
        if code.name.endswith("PUT") and isinstance(argument, int) and argument > passed:
            raise ValueError("a pickle that numbers its objects at will")
        if passed > _LARGEST_PICKLE or step > _MOST_STEPS:
            raise ValueError("a pickle that is larger than a network's can be")


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors and containers by name and makes the rest inert."""

    def __init__(self, file: IO[bytes], storages: dict[str, Storage] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self._storages = {} if storages is None else storages
        self._classes: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for; nothing is imported."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        origin = f"{module}.{name}"
        if origin in _KNOWN:
            return _KNOWN[origin]
        if origin not in self._classes:
            self._classes[origin] = type(name.rpartition(".")[2], (Inert,), {"origin": origin})
        return self._classes[origin]

    def persistent_load(self, pid: Any) -> Any:
        """A storage, or (in the older form) a class with its source text."""
        kind, *values = pid
        if kind == "module":
            return values[0]
        dtype, key, _device, count = values[:4]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"a reference to an unknown {kind!r}")
        if type(key) is not str or type(count) is not int or count < 0:
            raise ValueError("a storage that makes no sense")
        self._storages[key] = Storage(dtype, key, count)
        if len(values) > 4 and values[4] is not None:
            _view, start, length = values[4]
            return Storage(dtype, key, int(length), int(start))
        return self._storages[key]


def _stored(
    storage: Storage, offset: int, shape: object, stride: object, *_more: object
) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple):
        raise TypeError("a tensor without values")
    if not isinstance(stride, tuple):
        raise TypeError("a tensor without strides")
    return StoredTensor(storage, offset, shape, stride)


def _parameter(data: object, *_more: object) -> object:
    return data


_KNOWN: Final[Mapping[str, Any]] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _stored,
    "torch._utils._rebuild_tensor_v2": _stored,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
