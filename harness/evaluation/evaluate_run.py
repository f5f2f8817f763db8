"""Evaluate registered runs on a split, and read evaluations that were made before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.fingerprint import data_fingerprint
from harness.evaluation import map_table
from harness.evaluation.frame_table import (
    Keep,
    evaluate_frames,
    recount,
    refuse_clashes,
    write_table,
)
from harness.evaluation.stored import (
    CURRENT,
    OFFICIAL_TABLE,
    SUMMARY,
    TABLE,
    is_of_row,
    table_file,
)
from harness.inference import maps
from harness.inference.make_predictor import make_predictor, sample_of
from harness.inference.prediction import Inference
from harness.runs.classes import shared_classes
from harness.runs.network import load
from harness.runs.run import MASKS, Run
from harness.runs.workspace import Workspace
from harness.utils.folders import replace_folder
from harness.utils.versions import versions
from metrics.endocv import summarise, with_all_classes
from metrics.masks.classes import chosen_class
from metrics.registry import frame_metrics
from metrics.utils.files import UnwritableError, write_json

if TYPE_CHECKING:
    import pandas as pd


def cached_table(
    workspace: Workspace, run: Run, frames: pd.DataFrame, split: str, settings: dict[str, Any]
) -> pd.DataFrame | None:
    """The table of an earlier evaluation of these frames by these :func:`evaluation_settings`.

    Returns:
        DataFrame | None: ``None`` if there is none, or its files are not those that were
        registered, as after an evaluation that was killed.
    """
    import pandas as pd

    rows = workspace.evaluations(split)
    data = data_fingerprint(frames, workspace.root / "cache")
    rows = rows[(rows["run"] == run.run) & (rows["data"] == data)]
    if rows.empty or json.loads(rows["settings"].iloc[0]) != settings:
        return None
    if not is_of_row(run, split, rows.iloc[0].to_dict()):
        return None
    return pd.read_parquet(run.evaluation(split) / TABLE)


def kept_by(run: Run, split: str) -> Keep:
    """What an earlier evaluation has kept besides masks and frame table."""
    folder = run.evaluation(split)
    return Keep(
        maps=maps.options_in(folder / maps.FOLDER, shared_classes([run])),
        map_table=(folder / map_table.TABLE).exists(),
    )


def evaluate_run(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    *,
    inference: Inference,
    members: Mapping[int, Run] | None = None,
    keep: Keep | None = None,
    aside: Path | None = None,
    progress: Callable[[], object] = lambda: None,
    say: Callable[[str], object] = lambda _: None,
) -> dict[str, pd.DataFrame]:
    """Predict a split with a run's best weights, write the evaluation and register it.

    The run's folder gets ``evaluations/SPLIT/`` with the frame table, the predicted masks at the
    frames' own sizes and a summary. It replaces an earlier evaluation as a whole; where this one is
    interrupted, the earlier one stays as it is. Of an ensemble, members can be evaluated in the
    same pass, in which each network computes a frame once; their masks are the same as alone.

    ``members`` are runs that are evaluated, too, by place among the ensemble's (see
    ``harness.runs.register_ensemble.members_among``); ``keep`` is what is kept besides. With
    ``aside`` the files go into that folder, by run, and no evaluation is registered. ``progress``
    is called after each frame, ``say`` with what a precision other than float32 changes. The frame
    table of each run comes back by its identifier.

    Raises:
        UserError: If a frame or mask cannot be read, the disk is full, or another process is
            evaluating the run on the split.
        FaultsError: If frames differ in capitals only, since their masks' names do; all of them.
    """
    further, inference = members or {}, inference.of(run)
    runs = (run, *further.values())
    finals = [aside / one.run if aside else one.evaluation(split) for one in runs]
    with predicted(
        run, frames, finals, inference, places=[*further], keep=keep, progress=progress, say=say
    ) as written:
        data = data_fingerprint(frames, workspace.root / "cache")
        rows = [
            write_summary(folder, one, table, split=split, data=data, inference=inference)
            for one, (folder, table) in zip(runs, written, strict=True)
        ]
    for row in rows if aside is None else ():
        workspace.enter_evaluation(**row)
    return {one.run: table for one, (_, table) in zip(runs, written, strict=True)}


@contextmanager
def predicted(
    run: Run,
    frames: pd.DataFrame,
    finals: Sequence[Path],
    inference: Inference,
    *,
    places: Sequence[int],
    keep: Keep | None,
    progress: Callable[[], object],
    say: Callable[[str], object],
) -> Iterator[list[tuple[Path, pd.DataFrame]]]:
    """Masks and tables of frames, in folders that take their places when the block ends well.

    Yields:
        list: For each of ``finals``, the run's and those of its members at ``places``, the new
            folder and the frame table, which is written there.

    Raises:
        UserError, FaultsError: As for :func:`evaluate_run`.
    """
    refuse_clashes(list(frames["frame"]))
    images = [Path(image) for image in frames["image"]]
    predictor = make_predictor(
        load(run), inference, sample=sample_of(images), say=say, members=tuple(places)
    )
    with ExitStack() as stack:
        folders = [stack.enter_context(replace_folder(final)) for final in finals]
        tables = evaluate_frames(predictor, frames, folders=folders, keep=keep, done=progress)
        for folder, table in zip(folders, tables, strict=True):
            write_table(folder / TABLE, table)
        yield list(zip(folders, tables, strict=True))


def write_summary(
    folder: Path, run: Run, table: pd.DataFrame, *, split: str, data: str, inference: Inference
) -> dict[str, Any]:
    """Write an evaluation's summary into its folder; it is the row for the register, too."""
    row = {
        **_figures(run, table),
        "split": split,
        "frames": table["frame"].nunique(),
        "data": data,
        "settings": evaluation_settings(inference.settings),
    }
    write_json(folder / SUMMARY, row)
    return row


def official_table(
    run: Run,
    frames: pd.DataFrame,
    split: str,
    table: pd.DataFrame,
    *,
    aside: Path | None = None,
    progress: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """The frame table of an evaluation with the truth read as the organisers read it.

    It is counted from the evaluation's masks once, and written beside the other table where that
    can be written. ``aside`` is as for :func:`evaluate_run`.
    """
    import pandas as pd

    if aside is None and (kept := table_file(run, split, "official")):
        return pd.read_parquet(kept)
    folder = aside or run.evaluation(split)
    latencies = table.drop_duplicates("frame").set_index("frame")["latency_ms"].to_dict()
    counted = recount(
        frames,
        masks=folder / MASKS,
        decoding="official",
        latencies_ms={str(frame): float(value) for frame, value in latencies.items()},
        classes=shared_classes([run]),
        done=progress,
    )
    with suppress(UnwritableError):  # in a read-only workspace it is counted each time
        write_table(folder / OFFICIAL_TABLE, counted)
    return counted


def evaluation_settings(inference: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation depends on besides run and frames."""
    # A table from before a metric plug-in was installed lacks its column, and is made anew.
    plug_ins = {"metrics": sorted(frame_metrics())} if frame_metrics() else {}
    return {**inference, **CURRENT, "versions": versions(), **plug_ins}


def _figures(run: Run, table: pd.DataFrame) -> dict[str, Any]:
    """The columns of an evaluation's register row that follow from the run and its frame table."""
    summary = summarise(with_all_classes(table)).set_index("class")
    # JSON has no NaN: null stands in its place.
    figures = {
        str(name): {key: None if value != value else float(value) for key, value in row.items()}
        for name, row in summary.to_dict("index").items()
    }
    return {
        "run": run.run,
        "model": run.model,
        "protocol": "paper",
        "score": figures[chosen_class(table)]["score"],
        "checkpoint": run.row["checkpoint"],
        "summary": figures,
    }
