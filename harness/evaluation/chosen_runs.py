"""The runs that a command names, and what an evaluation of them on a split gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.data.catalogue import catalogue, is_paper_split, of_split
from harness.data.cross_validation import SplitVariant
from harness.data.cross_validation import folds as divisions
from harness.data.fingerprint import rows_of
from harness.data.frames import check_truth
from harness.evaluation import evaluate_run
from harness.evaluation.calibration import level_sums
from harness.evaluation.frame_table import Keep
from harness.evaluation.map_table import TABLE
from harness.runs.calibration import keep_temperature, kept_temperature
from harness.runs.ensemble import members_among
from harness.runs.network import shared_classes
from harness.runs.select import select
from harness.runs.workspace import Workspace
from harness.utils import console
from metrics.calibration import fit_temperature
from metrics.masks.classes import chosen_class, chosen_rows
from metrics.utils.files import UnwritableError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.inference.maps import MapOptions
    from harness.inference.prediction import Inference
    from harness.runs.workspace import Run


class ChosenRuns:
    """The runs that were asked for, and their frame tables."""

    def __init__(
        self,
        settings: Settings,
        protocol: str,
        *,
        names: Sequence[str],
        runs: Sequence[str],
        leave_out: str | None,
        folds: int | None,
        again: bool,
        inference: Inference,
        maps: MapOptions | None,
        map_table: bool,
    ) -> None:
        self.settings, self.again, self.inference = settings, again, inference
        self.keep = Keep(maps=maps, map_table=map_table)
        self.decoding = evaluate_run.PROTOCOLS[protocol].decoding
        self.workspace = Workspace(settings.workspace)
        wanted = [SplitVariant(leave_out=leave_out)] if leave_out else divisions(folds)
        self.found = [run for one in wanted for run in select(self.workspace, names, runs, one)]
        self.checked: set[tuple[object, ...]] = set()

    def are_of_the_paper_split(self, splits: str) -> bool:
        """Whether the runs are measured on the paper's frames, on one split or ``A and B``."""
        of_frames = all(is_paper_split(self.settings, split) for split in splits.split(" and "))
        return of_frames and not any(run.variant for run in self.found)

    def measure(self, split: str) -> pd.DataFrame:
        """The frame tables of all runs on a split, with a column ``model``."""
        import pandas as pd

        own_test = split == "test" and not any(run.variant.leave_out for run in self.found)
        frames = catalogue(self.settings, needs=["test" if own_test else "train"])
        runs = {run.run: run for run in self.found}
        frames_of = {name: of_split(run.variant.apply(frames), split) for name, run in runs.items()}
        tables = self._tables(frames_of, split)
        shown = []
        for run in runs.values():
            table = tables[run.run]
            _warn_without_polyp(table, f"{run.run}: the truth of {split}")
            if self.decoding == "official":
                of_run = frames_of[run.run]
                with console.progress(f"{run.model}, truth above 0", len(of_run)) as bar:
                    table = evaluate_run.official_table(
                        run, of_run, split, table, progress=bar.advance
                    )
            shown.append(table.assign(model=_label(run, self.found)))
        return pd.concat(shown, ignore_index=True)

    def map_tables(self, split: str) -> pd.DataFrame:
        """The map tables of all runs on a split that was measured, with a column ``model``."""
        import pandas as pd

        tables = [
            pd.read_parquet(run.evaluation(split) / TABLE).assign(model=_label(run, self.found))
            for run in {run.run: run for run in self.found}.values()
        ]
        return pd.concat(tables, ignore_index=True)

    def temperatures(self, split: str, maps: pd.DataFrame) -> dict[str, float | None]:
        """The temperature of each model: fitted on validation, and kept, else the one kept.

        Args:
            split: The split that was measured.
            maps: Its map tables.
        """
        found: dict[str, float | None] = {}
        for run in self.found:
            label, how = _label(run, self.found), self.inference.of(run).settings
            if split == "val":
                own = maps[maps["model"] == label]
                polyp, rest = (level_sums(own, name) for name in ("polyp_levels", "rest_levels"))
                found[label] = temperature = fit_temperature(polyp, rest)
                with suppress(UnwritableError):  # a workspace that is shared read-only
                    keep_temperature(run, temperature, inference=how)
            else:
                found[label] = kept_temperature(run, how)
        return found

    def _tables(self, frames: Mapping[str, pd.DataFrame], split: str) -> dict[str, pd.DataFrame]:
        """The frame table of each run, read where it was evaluated before."""
        runs = {run.run: run for run in self.found}
        tables = {
            name: kept
            for name, run in runs.items()
            if (kept := self._kept(run, frames[name], split)) is not None
        }
        pending = [run for name, run in runs.items() if name not in tables]
        for run in sorted(pending, key=lambda run: not run.members):  # ensembles first
            if run.run not in tables:
                how = self.inference.of(run)
                alike = [one for one in pending if self.inference.of(one) == how]
                members = members_among(run, [one for one in alike if one.run not in tables])
                tables |= self._predict(run, members, frames[run.run], split)
        return tables

    def _kept(self, run: Run, frames: pd.DataFrame, split: str) -> pd.DataFrame | None:
        """The frame table of an earlier evaluation, where it has all that is wanted."""
        if self.again:
            return None
        settings = evaluate_run.evaluation_settings(self.inference.of(run).settings)
        kept = evaluate_run.cached_table(self.workspace, run, frames, split, settings)
        if kept is None or not evaluate_run.keeps(run, split, self.keep):
            return None
        console.note(f"{run.run}: evaluated before; --again predicts it again")
        return kept

    def _predict(
        self, run: Run, members: Mapping[int, Run], frames: pd.DataFrame, split: str
    ) -> dict[str, pd.DataFrame]:
        """Evaluate a run, and some of its members with it."""
        self._check_truth(run, frames, split)
        beside = f", with {len(members)} members" if members else ""
        with console.progress(f"{run.model} on {split}{beside}", len(frames)) as bar:
            tables = evaluate_run.evaluate_run(
                self.workspace,
                run,
                frames,
                split,
                inference=self.inference,
                members=members,
                keep=self.keep,
                progress=bar.advance,
                say=console.note,
            )
        for one in (run, *members.values()):
            passed = "" if one is run else f" in the pass of {run.model}"
            console.note(f"{one.run}: {len(frames)} frames{passed} -> {one.evaluation(split)}")
        return tables

    def _check_truth(self, run: Run, frames: pd.DataFrame, split: str) -> None:
        """Read the true masks, once for all runs that share them, before anything is predicted."""
        classes = shared_classes([run])
        key = (split, run.variant, classes)
        if key not in self.checked:
            with console.progress(f"Reading the truth of {split}", len(frames)) as bar:
                check_truth(rows_of(frames), classes, done=bar.advance)
            self.checked.add(key)


def _warn_without_polyp(table: pd.DataFrame, where: str) -> None:
    """Warn where the truth has no pixel of the class that the figures speak of."""
    rows = chosen_rows(table)
    if not (rows["tp"] + rows["fn"]).sum():
        console.warn(
            f"{where} holds no pixel of {chosen_class(table)}; the figures tell nothing about how "
            "well a model finds one."
        )


def _label(run: Run, chosen: Sequence[Run]) -> str:
    """The model's name, or the run's where two runs of the model are measured side by side."""
    alike = [r for r in chosen if r.model == run.model and r.variant == run.variant]
    return run.model if len({r.run for r in alike}) == 1 else run.run
