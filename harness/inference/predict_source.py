"""Masks and a table for a folder of images or a video: all at once, or in parts to join."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from harness.data.fingerprint import FileDigests, sha256
from harness.inference import maps as map_files
from harness.inference.make_predictor import Sample, make_predictor, sample_of
from harness.inference.sources import Sources
from harness.inference.video import Video, check_whole
from harness.inference.write_masks import (
    Row,
    first_frames,
    predict_images,
    predict_video,
    write_overlay,
)
from harness.runs.network import Loaded, weights_sha256
from harness.utils import console
from harness.utils.device import cores
from harness.utils.folders import link, replace_folder
from harness.utils.parts import PART, Shard, find_parts, is_done, read_part, write_part
from harness.utils.versions import versions
from metrics.masks.faults import turned_by_tag
from metrics.utils.errors import Fault, FaultsError, UserError, or_fault
from metrics.utils.names import few, valid_text
from metrics.utils.text import csv

if TYPE_CHECKING:
    from harness.inference.maps import MapOptions
    from harness.inference.prediction import Inference
    from harness.inference.predictor import Predictor
    from harness.utils.outputs import Outputs

TABLE: Final = "predictions.csv"
"""Beside the masks: a row an image."""

PARTS: Final = ".harness-parts"
"""Folder of the parts, below that of the masks."""

_ROWS: Final = "rows.parquet"

Done = tuple[pd.DataFrame, list[Fault]]
"""The rows of the table, and a fault for each image that was left out."""


@dataclass(frozen=True, kw_only=True)
class SourcePrediction:
    """A source whose masks ``harness predict`` writes, and how they are predicted.

    Attributes:
        loaded: The network.
        inference: How it predicts.
        source: The images, or a video.
        uncertainty: Whether maps of the members' disagreement are written.
        maps: How probability maps are written; ``None`` for none.
        keep_going: Whether images that cannot be read are left out.
        cache: Where digests of files are remembered.
    """

    loaded: Loaded
    inference: Inference
    source: Sources | Video
    uncertainty: bool
    maps: MapOptions | None
    keep_going: bool
    cache: Path

    def whole(self, outputs: Outputs) -> Done:
        """Predict everything.

        Raises:
            FaultsError: Images cannot be read: any, or all of them with ``keep_going``.
            UserError: The folder cannot be written, or a video is cut off; what could be read of it
                is written.
        """
        with outputs.staged(last=TABLE) as staging:
            rows, faults = self._predict(staging)
            _write_table(staging, rows, faults)
        if isinstance(self.source, Video):
            check_whole(self.source, len(rows))
        return rows, faults

    def part(self, out: Path, shard: Shard) -> Done:
        """Predict one part and keep it for :meth:`gather`, below the folder of the masks.

        Raises:
            FaultsError: As for :meth:`whole`.
            UserError: There are fewer images than parts, or the folder cannot be written.
        """
        if isinstance(self.source, Sources) and shard.of > len(self.source.images):
            count = len(self.source.images)
            raise UserError(f"--shard {shard}: there are only {count} images to divide")
        folder = out / PARTS / shard.folder
        made_of = self._made_of()(shard)
        if is_done(folder, made_of):
            console.note(f"{folder} is there already; delete it to predict it again")
            return pd.read_parquet(folder / _ROWS), _faults(folder)
        with replace_folder(folder) as staging:
            rows, faults = self._predict(staging, shard)
            rows.to_parquet(staging / _ROWS, index=False)
            write_part(staging, made_of, faults=[fault.message for fault in faults])
        return rows, faults

    def gather(self, outputs: Outputs) -> Done:
        """Join the parts into what :meth:`whole` writes, and remove them.

        Raises:
            FaultsError: Parts are missing, not whole, or made of something else than is asked for;
                all of them.
            UserError: As for :meth:`whole`.
        """
        root = outputs.folder / PARTS
        parts, faults = find_parts(root, self._made_of())
        faults = faults or self._incomplete(parts)
        if faults:
            raise FaultsError(faults, "the parts cannot be joined as they are")
        left_out = [fault for part in parts.values() for fault in _faults(part)]
        with outputs.staged(last=TABLE) as staging:
            for part in parts.values():
                _link_files(part, staging)
            rows = self._in_order([pd.read_parquet(part / _ROWS) for part in parts.values()])
            if isinstance(self.source, Video):
                with console.progress(f"Outlines of {self.source.path.name}", len(rows)) as bar:
                    write_overlay(self.source, staging, self.loaded.classes, done=bar.advance)
            _write_table(staging, rows, left_out)
        shutil.rmtree(root, ignore_errors=True)
        if isinstance(self.source, Video):
            check_whole(self.source, len(rows))
        return rows, sorted(left_out, key=str)

    def _predict(self, out: Path, shard: Shard | None = None) -> Done:
        faults: list[Fault] = []
        if isinstance(self.source, Video):
            return pd.DataFrame(self._of_video(self.source, out, shard)), faults
        images = self.source.images if shard is None else self.source.images[shard.frames]
        on_fault = faults.append if self.keep_going else None
        rows = self._of_images(replace(self.source, images=images), out, on_fault)
        return pd.DataFrame(rows), faults

    def _of_images(
        self, sources: Sources, out: Path, on_fault: Callable[[Fault], object] | None
    ) -> list[Row]:
        predictor = self._predictor(sample_of(sources.images))
        title, total = f"{self.loaded.run.model} on {sources.root.name}", len(sources.images)
        with console.progress(title, total) as bar:
            rows = predict_images(
                predictor, sources, out, maps=self.maps, done=bar.advance, on_fault=on_fault
            )
        if turned := [image.name for image in sources.images if _is_turned(image)]:
            console.warn(
                f"{len(turned)} of {total} images have an orientation tag, which is not followed, "
                f"as in training: their masks lie as the pixels are stored ({few(turned)})"
            )
        return rows

    def _of_video(self, film: Video, out: Path, shard: Shard | None) -> list[Row]:
        predictor = self._predictor(first_frames(film))
        start = time.perf_counter()
        total = film.frames // (shard.of if shard else 1) or None
        with console.progress(f"{self.loaded.run.model} on {film.path.name}", total) as bar:
            rows = predict_video(
                predictor, film, out, maps=self.maps, shard=shard, done=bar.advance
            )
        rate = len(rows) / (time.perf_counter() - start)
        console.note(f"{rate:.1f} frames a second; the video has {film.rate:.1f}")
        return rows

    def _predictor(self, sample: Sample) -> Predictor:
        return make_predictor(
            self.loaded,
            self.inference,
            sample=sample,
            say=console.note,
            uncertainty=self.uncertainty,
        )

    def _made_of(self) -> Callable[[Shard], dict[str, Any]]:
        """What the part of each process is made of."""
        digest = FileDigests(self.cache)
        maps = self.maps and dict(map_files.manifest(self.maps, self.loaded.classes))
        of_all = {
            "weights": weights_sha256(self.loaded.run),
            "settings": {**self.inference.settings, "versions": versions()},
            "maps": maps,
            "uncertainty": self.uncertainty,
        }

        def made_of(shard: Shard) -> dict[str, Any]:
            files, root = self._files(shard), self.root
            with ThreadPoolExecutor(cores()) as pool:
                found = list(pool.map(or_fault(digest), map(str, files)))
            digest.save()
            # Names below the folder, which may have another path on another machine. An image that
            # cannot be read has no digest; predicting it says why.
            frames = [
                (file.relative_to(root).as_posix(), "" if isinstance(one, Fault) else one)
                for file, one in zip(files, found, strict=True)
            ]
            return of_all | {"frames": sha256(repr(frames).encode("utf-8", "surrogateescape"))}

        return made_of

    @property
    def root(self) -> Path:
        """The folder of the images, or that of the video."""
        return self.source.path.parent if isinstance(self.source, Video) else self.source.root

    def _files(self, shard: Shard) -> Sequence[Path]:
        source = self.source
        return [source.path] if isinstance(source, Video) else source.images[shard.frames]

    def _incomplete(self, parts: Mapping[Shard, Path]) -> list[Fault]:
        """A fault for each part that lacks a mask or a row."""
        rows = {shard: pd.read_parquet(part / _ROWS) for shard, part in parts.items()}
        read = range(sum(map(len, rows.values())))  # of a video, whose header may be wrong
        faults = []
        for shard, part in parts.items():
            if isinstance(self.source, Video):
                wanted, masks = len(read[shard.frames]), list(rows[shard].get("image", ()))
            else:
                masks = [self.source.mask_name(image) for image in self._files(shard)]
                wanted = len(masks) - len(_faults(part))
            if not wanted == len(rows[shard]) == sum((part / mask).exists() for mask in masks):
                message = f"files were removed or changed; delete it, and run --shard {shard} again"
                faults.append(Fault(path=str(part), message=message))
        return faults

    def _in_order(self, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """The rows of all parts, in the order of the images or frames."""
        rows = pd.concat([part for part in parts if len(part)] or parts)
        if rows.empty:
            return rows
        if isinstance(self.source, Video):
            places = rows["second"]
        else:
            images = (image.relative_to(self.root) for image in self.source.images)
            names = [valid_text(image.as_posix()) for image in images]
            places = rows["image"].map({name: place for place, name in enumerate(names)})
        return rows.iloc[places.argsort(kind="stable")].reset_index(drop=True)


def _is_turned(image: Path) -> bool:
    try:
        return turned_by_tag(image.read_bytes())
    except OSError:  # one that was left out
        return False


def _faults(part: Path) -> list[Fault]:
    return [Fault(path="", message=message) for message in read_part(part).get("faults", ())]


def _link_files(part: Path, staging: Path) -> None:
    for file in part.rglob("*"):
        target = staging / file.relative_to(part)
        # All parts say the same of their maps.
        if file.is_file() and file.name not in (PART, _ROWS) and not target.exists():
            link(file, target)


def _write_table(folder: Path, rows: pd.DataFrame, faults: Sequence[Fault]) -> None:
    if faults and rows.empty:
        raise FaultsError(faults, "no image can be read")
    (folder / TABLE).write_text(csv(rows), encoding="utf-8")
