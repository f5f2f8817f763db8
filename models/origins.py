"""Where encoder weights come from: the list of what there is, and the record of what a run took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from models import hub, packaged
from models.encoders import TIMM, encoder_names, published_weights, timm_settings
from models.packaged import PACKAGES, WeightsPackage
from models.weights import Source, source

IMAGENET: Final = "imagenet"

# The licences of segmentation-models-pytorch's weights that restrict their use; it names none
# itself. Those of 'ssl', 'swsl' and 'instagram' are as timm states them for the same weights.
_BY_FAMILY: Final = {"mit_": "NVIDIA Source Code License"}
_BY_WEIGHTS: Final = dict.fromkeys(("ssl", "swsl", "instagram"), "cc-by-nc-4.0")
_NON_COMMERCIAL: Final = (
    "NVIDIA Source Code License",
    "apple-amlr",
    "cc-by-nc-4.0",
    "fair-noncommercial-research-license",
)


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """Published weights of one encoder.

    Attributes:
        encoder: The encoder's name.
        weights: Their name, as ``--encoder-weights`` takes it.
        where: ``package`` and ``cache`` (the hub's, on this machine) need no network; ``hub`` does.
        origin: The package with its version, or the hub's repository.
        licence: Their licence; empty where it is not known.
        install: The package that would bring them; empty where it is installed or there is none.
    """

    encoder: str
    weights: str
    where: Literal["package", "cache", "hub"]
    origin: str
    licence: str
    install: str = ""

    @property
    def non_commercial(self) -> bool:
        """Whether the licence is known to forbid commercial use."""
        return self.licence in _NON_COMMERCIAL


def list_published() -> list[PublishedWeights]:
    """All weights that packages ship and segmentation-models-pytorch publishes, packages first.

    Of timm's own encoders (``tu-NAME``) those whose weights are in the hub's cache are listed too.
    """
    return [*_packaged(), *_timm_in_cache(), *_of_the_library()]


def origin(encoder: str, weights: str | Path | None) -> dict[str, str]:
    """Where a network's encoder weights came from, to be asked once they are loaded.

    Returns:
        dict: ``package`` and ``version``, ``repository`` and ``revision``, or ``file``; with each
        the file's ``sha256``. Empty for random weights.
    """
    chosen: Source = source(weights)
    if chosen is None:
        return {}
    if isinstance(chosen, Path):
        return {"file": str(chosen.absolute()), "sha256": packaged.file_sha256(chosen)}
    if package := packaged.installed(encoder, chosen):
        return {
            "package": package.name,
            "version": str(package.version),
            "sha256": package.sha256,  # checked when they were loaded
        }
    repository, revision, _ = hub.published_at(encoder, chosen)
    found = {"repository": repository, "revision": revision or ""}
    if file := hub.cached_file(encoder, chosen):
        # The cache keeps a file in a folder named by the commit.
        found |= {"revision": file.parent.name, "sha256": packaged.file_sha256(file)}
    return found


def _packaged() -> Iterator[PublishedWeights]:
    for encoder, package in PACKAGES.items():
        if package.version:
            yield PublishedWeights(
                encoder=encoder,
                weights=IMAGENET,
                where="package",
                origin=f"{package.name} {package.version}",
                licence=package.licence,
            )
        else:
            yield _on_the_hub(encoder, IMAGENET, package)


def _timm_in_cache() -> Iterator[PublishedWeights]:
    import timm

    for name in timm.list_models(pretrained=True):
        encoder = TIMM + name
        settings = timm_settings(encoder)
        if packaged.installed(encoder, IMAGENET) or settings is None or not settings.hf_hub_id:
            continue
        if hub.cached_file(encoder, IMAGENET):
            yield _on_the_hub(encoder, IMAGENET)


def _of_the_library() -> Iterator[PublishedWeights]:
    for encoder in encoder_names():
        for weights in published_weights(encoder):
            yield _on_the_hub(encoder, weights)


def _on_the_hub(
    encoder: str, weights: str, package: WeightsPackage | None = None
) -> PublishedWeights:
    return PublishedWeights(
        encoder=encoder,
        weights=weights,
        where="cache" if hub.cached_file(encoder, weights) else "hub",
        origin=hub.published_at(encoder, weights)[0],
        licence=_licence(encoder, weights),
        install=package.name if package else "",
    )


def _licence(encoder: str, weights: str) -> str:
    if encoder.startswith(TIMM):
        settings = timm_settings(encoder)
        return str(settings.license or "") if settings is not None else ""
    family = next((text for start, text in _BY_FAMILY.items() if encoder.startswith(start)), "")
    return family or _BY_WEIGHTS.get(weights, "")
