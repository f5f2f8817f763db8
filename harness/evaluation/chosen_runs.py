"""The runs that a command names, and what an evaluation of them on a split gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.data.catalogue import catalogue, is_paper_split, of_split
from harness.data.cross_validation import variants
from harness.data.fingerprint import rows_of
from harness.data.frames import check_truth
from harness.evaluation import evaluate_run
from harness.evaluation.calibration import level_sums
from harness.evaluation.frame_table import Keep
from harness.evaluation.map_table import TABLE
from harness.evaluation.parts import Division
from harness.evaluation.run_labels import label_of, of_all_folds
from harness.evaluation.stored import PROTOCOLS
from harness.runs.calibration import keep_temperature, kept_temperature
from harness.runs.classes import shared_classes, warn_of_other_classes
from harness.runs.register_ensemble import members_among
from harness.runs.seeds import seeds_of
from harness.runs.seen import refuse_seen, warn_of_other_training
from harness.runs.select import select
from harness.runs.workspace import Workspace
from harness.utils import console
from metrics.calibration import fit_temperature
from metrics.masks.classes import chosen_class, chosen_rows
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError
from metrics.utils.names import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.inference.maps import MapOptions
    from harness.inference.prediction import Inference
    from harness.runs.run import Run
    from harness.utils.parts import Shard


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
        seeds: bool,
        again: bool,
        inference: Inference,
        maps: MapOptions | None,
        map_table: bool,
        gather: bool = False,
    ) -> None:
        self.settings, self.again, self.inference = settings, again, inference
        self.keep = Keep(maps=maps, map_table=map_table)
        self.decoding = PROTOCOLS[protocol].decoding
        self.workspace = Workspace(settings.workspace)
        wanted = variants(leave_out, folds)
        found = [run for one in wanted for run in select(self.workspace, names, runs, one)]
        found = found if runs else of_all_folds(found, wanted)
        if seeds and folds:
            raise click.UsageError("--seeds and --folds are two ways to repeat; give one of them")
        finished = self.workspace.runs(status="finished") if seeds or folds else []
        of_seeds = [seeds_of(finished, run) if finished else [run] for run in found]
        self.groups = of_seeds if seeds else [[run] for run in found]
        if not (seeds or runs) and (other := sum(map(len, of_seeds)) - len(found)):
            console.note(f"The newest seed of each fold; {other} runs of others are left out.")
        self.found = [run for group in self.groups for run in group]
        self.checked: set[tuple[object, ...]] = set()
        self.aside: Path | None = None
        self.gather = gather

    def are_of_the_paper_split(self, splits: str) -> bool:
        """Whether the runs are measured on the paper's frames, on one split or ``A and B``."""
        of_frames = all(is_paper_split(self.settings, split) for split in splits.split(" and "))
        return of_frames and not any(run.variant for run in self.found)

    def seeds(self, split: str) -> dict[str, list[str]]:
        """Model to the names of its seeds in the frame tables, where there are several."""
        return {
            group[0].model: [label_of(run, self.found, split) for run in group]
            for group in self.groups
            if len(group) > 1
        }

    def measure(self, split: str, named: str = "") -> pd.DataFrame:
        """The frame tables of all runs on a split, with a column ``model``.

        ``named`` is ``A and B`` where they are for one table of several splits.
        """
        import pandas as pd

        frames_of = self._frames_of(split)
        tables = self._tables(frames_of, split)
        shown = []
        for run in self._runs:
            table = tables[run.run]
            _warn_without_polyp(table, f"{run.run}: the truth of {split}")
            if self.decoding == "official":
                of_run = frames_of[run.run]
                with console.progress(f"{run.model}, truth above 0", len(of_run)) as bar:
                    aside = self._aside_of(run, split)
                    table = evaluate_run.official_table(
                        run, of_run, split, table, aside=aside, progress=bar.advance
                    )
            shown.append(table.assign(model=label_of(run, self.found, named or split)))
        return pd.concat(shown, ignore_index=True)

    def write_parts(self, split: str, shard: Shard) -> None:
        """Predict a process's part of a split for all runs; see ``harness.evaluation.parts``."""
        frames_of = self._frames_of(split)
        fewest = min(map(len, frames_of.values()))
        if shard.of > fewest:
            there = counted(fewest, "frame")
            raise UserError(f"--shard {shard}: {split} has only {there} to divide")
        _, keeps = self._evaluated(frames_of, split)
        division = Division(self.workspace, split, self.inference, keeps)
        pending = dict(keeps)
        for run in () if self.again else self._runs:
            if run.run in pending and division.is_done(run, frames_of[run.run], shard):
                console.note(f"{run.run}: part {shard} is there; --again predicts it again")
                del pending[run.run]
        for run, members in self._passes(pending):
            frames = frames_of[run.run]
            own = frames.iloc[shard.frames]
            self._check_truth(run, own, split)
            with console.progress(f"{run.model} on {split}, part {shard}", len(own)) as bar:
                division.write(
                    run, frames, shard, members=members, progress=bar.advance, say=console.note
                )
            for one in (run, *members.values()):
                console.note(f"{one.run}: part {shard}, {counted(len(own), 'frame')}")

    def _frames_of(self, split: str) -> dict[str, pd.DataFrame]:
        """The frames of a split, by run; a ``UserError`` if a run was trained on some of them."""
        folds = {run.variant.fold for run in self.found}
        if split == "test" and len(folds) > 1:
            console.note(f"Each frame of the test split counts {len(folds)} times, once a fold.")
        own_test = split == "test" and not any(run.variant.leave_out for run in self.found)
        frames = catalogue(self.settings, needs=["test" if own_test else "train"])
        found = {run.run: of_split(run.variant.apply(frames), split) for run in self._runs}
        for run in self._runs:
            refuse_seen(run, frames, found[run.run], split)
        warn_of_other_training(self._runs, frames, split, self.workspace.root / "cache")
        warn_of_other_classes(self._runs, self.settings.classes)
        return found

    def map_tables(self, split: str) -> pd.DataFrame:
        """The map tables of all runs on a split that was measured, with a column ``model``."""
        import pandas as pd

        tables = [
            self._map_table(run, split).assign(model=label_of(run, self.found, split))
            for run in self._runs
        ]
        return pd.concat(tables, ignore_index=True)

    def temperatures(self, split: str) -> dict[str, float | None]:
        """The temperature of each model: fitted on validation, and kept, else the one kept.

        The folds of a cross-validation have one each, and are shown without.
        """
        found: dict[str, float | None] = {}
        for run in self._runs:
            label, how = label_of(run, self.found, split), self.inference.of(run).settings
            if split == "val":
                table = self._map_table(run, split)
                levels = (level_sums(table, name) for name in ("polyp_levels", "rest_levels"))
                temperature = fit_temperature(*levels)
                with suppress(UnwritableError):  # of a workspace that is shared read-only
                    keep_temperature(run, temperature, inference=how)
                found[label] = None if label in found else temperature
            else:
                found[label] = None if label in found else kept_temperature(run, how)
        return found

    @property
    def _runs(self) -> list[Run]:
        """The runs, once each."""
        return list({run.run: run for run in self.found}.values())

    def _map_table(self, run: Run, split: str) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet((self._aside_of(run, split) or run.evaluation(split)) / TABLE)

    def _aside_of(self, run: Run, split: str) -> Path | None:
        """Where the files of a run are that a read-only workspace could not take."""
        folder = self.aside / split / run.run if self.aside else None
        return folder if folder and folder.exists() else None

    def _tables(self, frames: Mapping[str, pd.DataFrame], split: str) -> dict[str, pd.DataFrame]:
        """The frame table of each run, read where it was evaluated before."""
        tables, keeps = self._evaluated(frames, split)
        if self.gather and keeps:
            pending = [run for run in self._runs if run.run in keeps]
            division = Division(self.workspace, split, self.inference, keeps)
            return tables | division.join(pending, frames)
        for run, members in self._passes(keeps):
            tables |= self._predict(run, members, frames[run.run], split, keeps[run.run])
        return tables

    def _evaluated(
        self, frames: Mapping[str, pd.DataFrame], split: str
    ) -> tuple[dict[str, pd.DataFrame], dict[str, Keep]]:
        """Frame tables of the runs that were evaluated before, and what to keep of the others."""
        tables, keeps = {}, {}
        for run in self._runs:
            how = evaluate_run.evaluation_settings(self.inference.of(run).settings)
            asked = self.workspace, run, frames[run.run], split, how
            table = None if self.again else evaluate_run.cached_table(*asked)
            # The new evaluation replaces the earlier one, so it is to have what that one has, too.
            there = Keep() if table is None else evaluate_run.kept_by(run, split)
            keeps[run.run] = self.keep | there
            if table is not None and keeps[run.run] == there:
                tables[run.run] = table
        if tables:
            named = next(iter(tables)) if len(tables) == 1 else f"{len(tables)} runs"
            console.note(f"{named}: evaluated before; --again predicts again")
        return tables, {name: keep for name, keep in keeps.items() if name not in tables}

    def _passes(self, pending: Mapping[str, Keep]) -> Iterator[tuple[Run, dict[int, Run]]]:
        """The passes that predict some runs: a run, and those of its members that go with it."""

        def how(run: Run) -> tuple[Inference, Keep]:
            return self.inference.of(run), pending[run.run]

        left = {run.run: run for run in self._runs if run.run in pending}
        for run in sorted(left.values(), key=lambda run: not run.members):  # ensembles first
            if run.run in left:
                members = members_among(run, [one for one in left.values() if how(one) == how(run)])
                for one in (run, *members.values()):
                    del left[one.run]
                yield run, members

    def _predict(
        self, run: Run, members: Mapping[int, Run], frames: pd.DataFrame, split: str, keep: Keep
    ) -> dict[str, pd.DataFrame]:
        """Evaluate a run, and some of its members with it."""
        self._check_truth(run, frames, split)
        self._find_aside()
        beside = f", with {counted(len(members), 'member')}" if members else ""
        with console.progress(f"{run.model} on {split}{beside}", len(frames)) as bar:
            tables = evaluate_run.evaluate_run(
                self.workspace,
                run,
                frames,
                split,
                inference=self.inference,
                members=members,
                keep=self.keep if self.aside else keep,  # aside, nothing is replaced
                aside=self.aside / split if self.aside else None,
                progress=bar.advance,
                say=console.note,
            )
        for one in (run, *members.values()):
            passed = "" if one is run else f" in the pass of {run.model}"
            kept_in = "not kept" if self.aside else one.evaluation(split)
            console.note(f"{one.run}: {counted(len(frames), 'frame')}{passed} -> {kept_in}")
        return tables

    def _find_aside(self) -> None:
        """A folder for what a read-only workspace cannot take, to the end of the command."""
        try:
            self.workspace.check_writable()
        except UserError as error:
            if self.aside is None:
                console.warn(f"{error.message} The figures are shown, and not kept.")
                folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory())
                self.aside = Path(folder)

    def _check_truth(self, run: Run, frames: pd.DataFrame, split: str) -> None:
        """Read the true masks, once for all runs that share them, before anything is predicted."""
        classes = shared_classes([run])
        if (key := (split, run.variant, classes)) not in self.checked:
            with console.progress(f"Reading the truth of {split}", len(frames)) as bar:
                check_truth(rows_of(frames), classes, done=bar.advance)
            self.checked.add(key)


def _warn_without_polyp(table: pd.DataFrame, where: str) -> None:
    """Warn where the truth has no pixel of the class that the figures speak of."""
    rows = chosen_rows(table)
    if not (rows["tp"] + rows["fn"]).sum():
        without = f"{where} holds no pixel of {chosen_class(table)}"
        console.warn(f"{without}; the figures tell nothing about how well a model finds one.")
