"""An evaluation that several processes share: writing the part of each, and joining the parts.

The joined evaluation is the one that a single process writes, but for the milliseconds. Only the
process that joins writes to the register.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.fingerprint import combine, read_digests
from harness.evaluation import map_table
from harness.evaluation.evaluate_run import evaluation_settings, predicted, write_summary
from harness.evaluation.frame_table import Keep, write_table
from harness.evaluation.stored import TABLE
from harness.inference import maps
from harness.inference.prediction import Inference
from harness.runs.classes import shared_classes
from harness.runs.network import weights_sha256
from harness.runs.run import MASKS, Run
from harness.runs.workspace import Workspace
from harness.utils.folders import link, replace_folder
from harness.utils.parts import Shard, find_parts, is_done, write_part
from metrics.utils.errors import Fault, FaultsError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Division:
    """A split that several processes evaluate.

    Attributes:
        workspace: Where the runs are.
        split: The split's name.
        inference: How the runs predict; what is left to a run is filled in for each.
        keeps: What is kept of each run besides masks and frame table.
    """

    workspace: Workspace
    split: str
    inference: Inference
    keeps: Mapping[str, Keep]

    def is_done(self, run: Run, frames: pd.DataFrame, shard: Shard) -> bool:
        """Whether a part is there, of the frames, weights and settings that are asked for."""
        made_of = self._made_of(run) | {"frames": combine(self._digests(_own(frames, shard)))}
        return is_done(self._folder(run) / shard.folder, made_of)

    def write(
        self,
        run: Run,
        frames: pd.DataFrame,
        shard: Shard,
        *,
        members: Mapping[int, Run],
        progress: Callable[[], object] = lambda: None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Predict one part of a split's frames, and write it into the run's folder.

        The arguments are those of ``harness.evaluation.evaluate_run.evaluate_run``.

        Raises:
            UserError: As there, or if another process is writing the part.
        """
        own, runs = _own(frames, shard), (run, *members.values())
        digest = combine(self._digests(own))
        made_of = [self._made_of(one) | {"frames": digest} for one in runs]
        with predicted(
            run,
            own,
            [self._folder(one) / shard.folder for one in runs],
            self.inference.of(run),
            places=[*members],
            keep=self.keeps[run.run],
            progress=progress,
            say=say,
        ) as written:
            for (folder, _), of_run in zip(written, made_of, strict=True):
                write_part(folder, of_run)

    def join(
        self, runs: Sequence[Run], frames_of: Mapping[str, pd.DataFrame]
    ) -> dict[str, pd.DataFrame]:
        """Make each run's evaluation from its parts, register it and remove the parts.

        ``frames_of`` are the frames of the split, by run. The frame tables come back by run.

        Raises:
            FaultsError: Parts of any run are missing, not whole, or made of something else than is
                asked for; all of them.
            UserError: The workspace cannot be written.
        """
        self.workspace.check_writable()
        found = {run.run: self._find(run, frames_of[run.run]) for run in runs}
        if faults := [fault for _, of_run, _ in found.values() for fault in of_run]:
            raise FaultsError(faults, "the parts cannot be joined as they are")
        return {
            run.run: self._join(run, frames_of[run.run], parts, data)
            for run, (parts, _, data) in zip(runs, found.values(), strict=True)
        }

    def _find(self, run: Run, frames: pd.DataFrame) -> tuple[list[Path], list[Fault], str]:
        """The parts of a run, what is wrong with them, and the fingerprint of all frames."""
        digests, made_of = self._digests(frames), self._made_of(run)
        parts, faults = find_parts(
            self._folder(run), lambda shard: made_of | {"frames": combine(digests[shard.frames])}
        )
        return [*parts.values()], faults or _incomplete(parts, frames), combine(digests)

    def _join(
        self, run: Run, frames: pd.DataFrame, parts: Sequence[Path], data: str
    ) -> pd.DataFrame:
        keep = self.keeps[run.run]
        with replace_folder(run.evaluation(self.split)) as folder:
            for part in parts:
                for kept in (MASKS, maps.FOLDER):
                    for file in (part / kept).rglob("*.png"):
                        link(file, folder / file.relative_to(part))
            table = _joined(parts, TABLE, frames)
            write_table(folder / TABLE, table)
            if keep.maps:
                maps.write_manifest(folder / maps.FOLDER, keep.maps, shared_classes([run]))
            if keep.map_table:
                maps_joined = _joined(parts, map_table.TABLE, frames)
                write_table(folder / map_table.TABLE, maps_joined)
            inference = self.inference.of(run)
            row = write_summary(
                folder, run, table, split=self.split, data=data, inference=inference
            )
        self.workspace.enter_evaluation(**row)
        shutil.rmtree(self._folder(run), ignore_errors=True)
        return table

    def _folder(self, run: Run) -> Path:
        """Where the run's parts lie."""
        return run.folder / "parts" / self.split

    def _digests(self, frames: pd.DataFrame) -> list[str]:
        return read_digests(frames, self.workspace.root / "cache")

    def _made_of(self, run: Run) -> dict[str, Any]:
        """What a part of the run is made of, without its frames."""
        kept = self.keeps[run.run]
        return {
            "weights": weights_sha256(run),
            "settings": evaluation_settings(self.inference.of(run).settings),
            "maps": kept.maps and dict(maps.manifest(kept.maps, shared_classes([run]))),
            "map table": kept.map_table,
        }


def _own(frames: pd.DataFrame, shard: Shard) -> pd.DataFrame:
    return frames.iloc[shard.frames].reset_index(drop=True)


def _incomplete(parts: Mapping[Shard, Path], frames: pd.DataFrame) -> list[Fault]:
    """A fault for each part that lacks a frame's mask or row, or has more than its frames."""
    import pandas as pd

    faults = []
    for shard, part in parts.items():
        own = list(_own(frames, shard)["frame"])
        rows = pd.read_parquet(part / TABLE, columns=["frame"])["frame"].drop_duplicates()
        masks = (part / MASKS / f"{frame}.png" for frame in own)
        if list(rows) != own or not all(mask.exists() for mask in masks):
            message = f"files were removed or changed; run --shard {shard} --again"
            faults.append(Fault(path=str(part), message=message))
    return faults


def _joined(parts: Sequence[Path], name: str, frames: pd.DataFrame) -> pd.DataFrame:
    """A table of all parts, in the order of the frames."""
    import pandas as pd

    table = pd.concat([pd.read_parquet(part / name) for part in parts])
    places = {frame: place for place, frame in enumerate(frames["frame"])}
    order = table["frame"].map(places).argsort(kind="stable")
    return table.iloc[order].reset_index(drop=True)
