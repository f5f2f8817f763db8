"""Read a file of ``torch.save``, of any age, without running code in it.

A pickle names classes and functions, and the usual reader imports and calls them. Here
``torch.load`` reads the tensors, but looks the names up in :class:`_Unpickler`, which imports
nothing: it knows tensors and plain containers, and everything else becomes an inert stand-in that
only keeps its state. So a network that was pickled whole can be looked through even where the
package that defined it is not installed, or means harm.

``torch.load(weights_only=True)`` is as safe, but refuses a network that was pickled whole.
"""

from __future__ import annotations

import pickle
import pickletools
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, ClassVar, Final

import torch

from models.errors import ModelError

_ZIP: Final = b"PK\x03\x04"  # how torch tells its zips from its older format
# In bytes, without the tensors' values; a large network takes 2 MiB.
_LARGEST_PICKLE: Final = 256 * 2**20
_MOST_STEPS: Final = 4_000_000  # opcodes of a pickle; a large network takes a tenth of them
_SHOWN: Final = 200  # characters of what went wrong; it may quote the file


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


def read(path: Path) -> Any:
    """Read a file of ``torch.save``: a zip, or the older format that is no archive.

    Returns:
        Plain containers, numbers, text, tensors on the CPU, and :class:`Inert` for the rest.

    Raises:
        ModelError: If it is neither, is cut off, damaged, or asks for more than an honest file.
    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a class's source cannot be compared
            # A TorchScript archive is a program, and torch would start it after this warning.
            warnings.filterwarnings("error", message=".*TorchScript archive")
            return torch.load(
                path,
                map_location="cpu",
                weights_only=False,
                pickle_module=_PICKLE,
                encoding="latin1",  # of text that Python 2 pickled
            )
    except ModelError:
        raise
    except Exception as error:  # a pickle can fail in any way
        raise ModelError(
            f"cannot read {path}: expected a file of torch.save ({type(error).__name__}: "
            f"{str(error)[:_SHOWN]})"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse what torch would unpack: a tar, and a zip whose entries are compressed or damaged."""
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
    if not zipped:
        if tarfile.is_tarfile(path):
            raise ModelError(
                f"{path} is a tar, as the first versions of PyTorch wrote; load it in PyTorch and "
                "save it again"
            )
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type for entry in archive.infolist()):
            raise ValueError("a zip with compressed entries")
        if damaged := archive.testzip():  # torch compares no checksums
            raise ValueError(f"the entry {damaged} is damaged")


class _Unpickler(pickle.Unpickler):
    """Knows tensors and containers by name, and makes the rest inert."""

    def __init__(self, file: IO[bytes], **options: Any) -> None:
        start = file.tell()  # torch's older format has several pickles, one after another
        _check_opcodes(file, start)
        file.seek(start)
        super().__init__(file, **options)
        self._classes: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for; nothing is imported."""
        origin = f"{module}.{name}"
        if origin in _KNOWN:
            return _KNOWN[origin]
        if origin not in self._classes:
            self._classes[origin] = type(name.rpartition(".")[2], (Inert,), {"origin": origin})
        return self._classes[origin]


def _check_opcodes(file: IO[bytes], start: int) -> None:
    """Refuse a pickle that asks for more memory than an honest one of its length could.

    Python's unpickler makes room for as many numbered objects as the highest number says.
    """
    for step, (code, argument, position) in enumerate(pickletools.genops(file)):
        passed = (position or start) - start
        if code.name.endswith("PUT") and isinstance(argument, int) and argument > passed:
            raise ValueError("a pickle that numbers its objects at will")
        if passed > _LARGEST_PICKLE or step > _MOST_STEPS:
            raise ValueError("a pickle that is larger than a network's can be")


class _Ordered(dict[Any, Any]):
    """An ``OrderedDict`` that takes no attributes, since those could hide its methods."""

    def __setstate__(self, _state: object) -> None:
        pass


class _Call:
    """Calls a function, and takes no attributes: a file could set those of a function itself."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, _state: object) -> None:
        pass


_PARAMETER: Final = _Call(lambda data, *_more: data)
_KNOWN: Final[Mapping[str, Any]] = {
    "collections.OrderedDict": _Ordered,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _Call(torch._utils._rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _Call(torch._utils._rebuild_tensor_v2),
    "torch._utils._rebuild_parameter": _PARAMETER,
    "torch._utils._rebuild_parameter_with_state": _PARAMETER,
}
# What torch.load wants of a pickle module; it adds the tensors' storages to the unpickler itself.
_PICKLE: Final = SimpleNamespace(
    __name__=__name__,
    Unpickler=_Unpickler,
    load=lambda file, **options: _Unpickler(file, **options).load(),
)
