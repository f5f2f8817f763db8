"""Encoders: their names, their weights, and how they want images normalised."""

from __future__ import annotations

import difflib
import os
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CENTRED: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# Families whose published weights were trained on images scaled to -1..1. The hub's own
# configuration would say so, but it cannot be asked in a hospital without a network.
_CENTRED_FAMILIES: Final = ("inception", "xception", "dpn")
_TIMEOUT_S: Final = 5.0


def source(weights: str | Path | None) -> str | Path | None:
    """Where weights come from: the name of published ones, a file, or ``None`` for random ones.

    Args:
        weights: ``none`` means ``None``; text with a folder or a file's ending is a path.
    """
    if weights is None or weights == "none":
        return None
    if isinstance(weights, str) and (Path(weights).suffix or Path(weights).name != weights):
        return Path(weights)
    return weights


def normalisation(encoder: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of the images an encoder was trained on.

    Args:
        encoder: An encoder's name.

    Returns:
        tuple: Three means and three deviations, RGB, on the scale 0 to 1.
    """
    return CENTRED if encoder.startswith(_CENTRED_FAMILIES) else IMAGENET


def encoder_names() -> list[str]:
    """The encoders of segmentation-models-pytorch, but for timm's own (``tu-NAME``)."""
    return sorted(_library().encoders.get_encoder_names())


def check_encoder(name: str) -> None:
    """Refuse an encoder that segmentation-models-pytorch does not have.

    Raises:
        ModelError: With the nearest name.
    """
    known = encoder_names()
    if name in known or name.startswith("tu-"):
        return
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(nearest)}? " if nearest else ""
    raise ModelError(f"unknown encoder {name!r}; {hint}'harness models --encoders' lists them")


def check_weights(encoder: str, weights: str | Path | None) -> None:
    """Refuse encoder weights that cannot be had, before a download is tried for long.

    Args:
        encoder: An encoder's name.
        weights: A name such as ``imagenet``, a file, or ``None``.

    Raises:
        ModelError: If the name is unknown for the encoder, the file is missing, or the weights
            are neither in the local cache nor can the hub be reached.
    """
    if weights is None:
        return
    if isinstance(weights, Path):
        if not weights.is_file():
            raise ModelError(f"no file of encoder weights {weights}")
        return
    if encoder.startswith("tu-"):
        _check_hub(f"the weights {weights!r} of {encoder}")
        return
    published: Mapping[str, Any] = _library().encoders.encoders[encoder]["pretrained_settings"]
    if weights not in published:
        raise ModelError(
            f"no weights {weights!r} for {encoder}; expected one of {', '.join(published)}, none, "
            "or a file"
        )
    if not _cached(published[weights]):
        _check_hub(f"the weights {weights!r} of {encoder}")


def load_encoder(encoder: nn.Module, path: Path) -> None:
    """Load an encoder's weights from a file.

    A stem for three channels is adapted to an encoder with another number of them the way
    segmentation-models-pytorch does: the channels are repeated and scaled to the same sum.

    Args:
        encoder: The encoder of a network.
        path: ``.safetensors``, or a state dict saved by ``torch.save``; of the encoder alone, or
            of a whole network whose encoder's names begin with ``encoder.``.

    Raises:
        ModelError: If the file cannot be read, or names or shapes differ, all of them listed.
    """
    weights = _read(path)
    expected = encoder.state_dict()
    if not weights.keys() & expected.keys():
        weights = {
            name.removeprefix("encoder."): tensor
            for name, tensor in weights.items()
            if name.startswith("encoder.")
        }
    # What a classifier adds behind the encoder is of no use to a segmentation.
    weights = {name: t for name, t in weights.items() if name in expected}
    weights = {name: _adapted(t, expected[name]) for name, t in weights.items()}
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    faults = [f"{name}: missing" for name in expected.keys() - weights.keys() - counters]
    faults += [
        f"{name}: expected shape {tuple(expected[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in weights.items()
        if tensor.shape != expected[name].shape
    ]
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in sorted(faults)[:20])
        raise ModelError(
            f"the weights {path} are of another encoder ({len(faults)} of {len(expected)} tensors "
            f"do not fit):\n{lines}"
        )
    encoder.load_state_dict({**expected, **weights})


def _adapted(tensor: Tensor, expected: Tensor) -> Tensor:
    stem = tensor.ndim == 4 and tensor.shape[1] == 3
    if not stem or expected.ndim != 4 or tensor.shape[0] != expected.shape[0]:
        return tensor
    if expected.shape[1] == 3 or tensor.shape[2:] != expected.shape[2:]:
        return tensor
    channels = expected.shape[1]
    repeated = tensor[:, [i % 3 for i in range(channels)]]
    return repeated * (3 / channels)


def _read(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the encoder weights {path}: {error}") from error
    except Exception as error:  # torch's reader raises whatever its pickle or zip reader does
        raise ModelError(
            f"cannot read the encoder weights {path}: {error}. Expected .safetensors, or a state "
            "dict saved by torch.save; nothing else is unpickled."
        ) from error
    values = values.get("state_dict", values) if isinstance(values, dict) else values
    if not isinstance(values, dict) or not all(isinstance(v, torch.Tensor) for v in values.values()):
        raise ModelError(f"{path} holds no state dict; expected names with tensors")
    return values


def _cached(settings: Mapping[str, Any]) -> bool:
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(settings["repo_id"], name, revision=settings["revision"])
        for name in ("config.json", "model.safetensors")
    ]
    return all(isinstance(path, str) for path in found)


def _check_hub(what: str) -> None:
    """Fail at once where the library would try five times."""
    advice = (
        "Download them where there is a network and give --encoder-weights FILE, or train "
        "without: --encoder-weights none."
    )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise ModelError(f"HF_HUB_OFFLINE is set, and {what} are not in the local cache. {advice}")
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 (the user's own hub)
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return
        raise ModelError(
            f"cannot get {what}: the hub {address} answers {error.code}. {advice}"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(f"cannot get {what}: no answer from {address} ({reason}). {advice}") from error


def _library() -> Any:
    """segmentation-models-pytorch, without what its dependencies say when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import segmentation_models_pytorch

    return segmentation_models_pytorch
