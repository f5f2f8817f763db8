"""``harness evaluate``."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import (
    FRAMES,
    average_option,
    format_option,
    inference_options,
    with_settings,
)
from harness.report.tables.formats import EVALUATION_TABLES
from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.data.cross_validation import SplitVariant
    from harness.inference.predictor import Inference
    from harness.report.tables.formats import Format
    from harness.runs.workspace import Run
    from metrics.averages import Average

EPILOG = """\b
Examples:
  harness evaluate --split test
  harness evaluate --split val --model unet --model triunet
  harness evaluate --split test --format csv > test.csv
  harness evaluate --split test --table paper --format latex
  harness evaluate --split test --average frames
  harness evaluate --split val --table more --protocol strict
  harness evaluate --split val --split test --table generalisation
  harness evaluate --split val --table generalisation --by centre --from C1 --to C4
"""


@click.command(epilog=EPILOG)
@click.option(
    "--split",
    "wanted",
    type=click.Choice(["val", "test"]),
    multiple=True,
    required=True,
    help="The split to predict; repeatable.",
)
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="NAME",
    help="Models, of which the newest finished run is taken; repeatable. By default all.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Runs instead of models.")
@click.option("--again", is_flag=True, help="Predict again what was evaluated before.")
@click.option("--leave-out", metavar="CENTRE", help="Evaluate models trained without a centre.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Evaluate the models of a cross-validation, all folds together.",
)
@click.option(
    "--protocol",
    type=click.Choice(["paper", "official", "strict"]),
    default="paper",
    show_default=True,
    help="paper: truth above 127, the organisers' formulas. official: the organisers' evaluator, "
    "truth above 0. strict: truth above 127, undefined figures left out of the means.",
)
@click.option(
    "--table",
    "kind",
    type=click.Choice(list(EVALUATION_TABLES)),
    default="classes",
    show_default=True,
    help="; ".join(f"{name}: {meaning}" for name, meaning in EVALUATION_TABLES.items()) + ".",
)
@click.option(
    "--by",
    type=click.Choice(["split", "centre", "sequence", "dataset", "test_set"]),
    help="How --table generalisation groups the frames; by default the first of these that gives "
    "two groups or more.",
)
@click.option("--from", "reference", metavar="SET", help="Generalisation from this set only.")
@click.option("--to", "other", metavar="SET", help="Generalisation to this set only.")
@average_option("How figures over several test sets are averaged")
@inference_options()
@format_option()
@with_settings(*FRAMES, "workspace", "splits")
def command(
    settings: Settings,
    wanted: Sequence[str],
    protocol: str,
    kind: str,
    by: str | None,
    reference: str | None,
    other: str | None,
    average: Average | None,
    format_: Format,
    **options: Any,
) -> None:
    """Evaluate trained models on a split, per class and per centre.

    Every frame is predicted at its own size and compared with its true mask. The frame table, the
    predicted masks and a summary are kept in the run's folder; a second call reads them.
    """
    import pandas as pd

    from harness.report.tables.view import show_views
    from harness.report.views.evaluation import KINDS, Measured

    splits = tuple(dict.fromkeys(wanted))
    chosen = _Chosen(settings, protocol, **options)
    tables = {split: chosen.measure(split) for split in splits}
    together = kind == "generalisation" and len(splits) > 1
    shown = {" and ".join(splits): pd.concat(tables.values())} if together else tables
    views = []
    for split, frames in shown.items():
        measured = Measured(
            frames=frames.reset_index(drop=True),
            split=split,
            protocol=protocol,
            is_paper_split=chosen.are_of_the_paper_split(split),
            by=by or "",
            reference=reference or "",
            other=other or "",
            average=average,
        )
        views += KINDS[kind](measured, format_)
    metadata = {"split": " and ".join(splits), "protocol": protocol, "average": average or "sets"}
    show_views(views, format_, metadata)


class _Chosen:
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
    ) -> None:
        from harness.data.cross_validation import SplitVariant
        from harness.data.cross_validation import folds as divisions
        from harness.evaluation import evaluate_run
        from harness.runs.select import select
        from harness.runs.workspace import Workspace

        self.settings, self.again, self.inference = settings, again, inference
        self.decoding = evaluate_run.PROTOCOLS[protocol].decoding
        self.workspace = Workspace(settings.workspace)
        wanted = [SplitVariant(leave_out=leave_out)] if leave_out else divisions(folds)
        found = [run for one in wanted for run in select(self.workspace, names, runs, one)]
        self.found = found if runs else _of_all_folds(found, wanted)
        self.checked: set[tuple[object, ...]] = set()
        self.aside: dict[tuple[str, str], Path] = {}

    def are_of_the_paper_split(self, splits: str) -> bool:
        """Whether the runs are measured on the paper's frames, on one split or ``A and B``."""
        from harness.data.catalogue import is_paper_split

        of_frames = all(is_paper_split(self.settings, split) for split in splits.split(" and "))
        return of_frames and not any(run.variant for run in self.found)

    def measure(self, split: str) -> pd.DataFrame:
        """The frame tables of all runs on a split, with a column ``model``."""
        import pandas as pd

        from harness.data.catalogue import catalogue, of_split
        from harness.evaluation import evaluate_run

        folds = {run.variant.fold for run in self.found}
        if split == "test" and len(folds) > 1:
            console.note(f"Each frame of the test split counts {len(folds)} times, once a fold.")
        own_test = split == "test" and not any(run.variant.leave_out for run in self.found)
        frames = catalogue(self.settings, needs=["test" if own_test else "train"])
        tables = []
        for run in {run.run: run for run in self.found}.values():
            of_run = of_split(run.variant.apply(frames), split)
            table = self._table(run, of_run, split)
            _warn_without_polyp(table, f"{run.run}: the truth of {split}")
            if self.decoding == "official":
                with console.progress(f"{run.model}, truth above 0", len(of_run)) as bar:
                    aside = self.aside.get((run.run, split))
                    table = evaluate_run.official_table(
                        run, of_run, split, table, aside=aside, progress=bar.advance
                    )
            tables.append(table.assign(model=_label(run, self.found)))
        return pd.concat(tables, ignore_index=True)

    def _table(self, run: Run, frames: pd.DataFrame, split: str) -> pd.DataFrame:
        """The frame table of a run, read where it was evaluated before."""
        from harness.evaluation import evaluate_run

        inference = self.inference.of(run)
        settings = evaluate_run.evaluation_settings(inference.settings)
        kept = evaluate_run.cached_table(self.workspace, run, frames, split, settings)
        if kept is not None and not self.again:
            console.note(f"{run.run}: evaluated before; --again predicts it again")
            return kept
        self._check_truth(run, frames, split)
        aside = self._aside(run, split)
        with console.progress(f"{run.model} on {split}", len(frames)) as bar:
            table = evaluate_run.evaluate_run(
                self.workspace,
                run,
                frames,
                split,
                inference=inference,
                aside=aside,
                progress=bar.advance,
                say=console.note,
            )
        kept_in = "not kept" if aside else run.evaluation(split)
        console.note(f"{run.run}: {len(frames)} frames -> {kept_in}")
        return table

    def _aside(self, run: Run, split: str) -> Path | None:
        """A folder for what a read-only workspace cannot take, to the end of the command."""
        try:
            self.workspace.check_writable()
        except UserError as error:
            if not self.aside:
                console.warn(f"{error.message} The figures are shown, and not kept.")
            folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory())
            self.aside[run.run, split] = Path(folder, split)
        return self.aside.get((run.run, split))

    def _check_truth(self, run: Run, frames: pd.DataFrame, split: str) -> None:
        """Read the true masks, once for all runs that share them, before anything is predicted."""
        from harness.data.fingerprint import rows_of
        from harness.data.frames import check_truth
        from harness.runs.network import shared_classes

        classes = shared_classes([run])
        key = (split, run.variant, classes)
        if key not in self.checked:
            with console.progress(f"Reading the truth of {split}", len(frames)) as bar:
                check_truth(rows_of(frames), classes, done=bar.advance)
            self.checked.add(key)


def _warn_without_polyp(table: pd.DataFrame, where: str) -> None:
    """Warn where the truth has no pixel of the class that the figures speak of."""
    from metrics.masks.classes import chosen_class, chosen_rows

    rows = chosen_rows(table)
    if not (rows["tp"] + rows["fn"]).sum():
        console.warn(
            f"{where} holds no pixel of {chosen_class(table)}; the figures tell nothing about how "
            "well a model finds one."
        )


def _of_all_folds(found: Sequence[Run], wanted: Sequence[SplitVariant]) -> list[Run]:
    """The runs of models that have one in every fold; the others would be of fewer frames.

    Raises:
        UserError: There is no such model.
    """
    variants: dict[str, set[SplitVariant]] = {}
    for run in found:
        variants.setdefault(run.model, set()).add(run.variant)
    lacking = {
        model: ", ".join(one.fold for one in wanted if one not in there)
        for model, there in variants.items()
        if len(there) < len(wanted)
    }
    said = "; ".join(f"{model} has no run of fold {folds}" for model, folds in lacking.items())
    if len(lacking) == len(variants):
        raise UserError(f"no model has a run of every fold: {said}")
    if said:
        console.warn(f"Left out, since their figures would be of other frames: {said}.")
    return [run for run in found if run.model not in lacking]


def _label(run: Run, chosen: Sequence[Run]) -> str:
    """The model's name; the run's where several runs of the model are measured side by side.

    The folds of one cross-validation are measured as one model.
    """
    alike = {other.run: other.variant for other in chosen if other.model == run.model}
    divisions = {variant.fold.partition("/")[2] for variant in alike.values()}
    are_folds = len(divisions) == 1 and "" not in divisions and len({*alike.values()}) == len(alike)
    return run.model if len(alike) == 1 or are_folds else run.run
