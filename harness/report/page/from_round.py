"""The content of a round's page, gathered from its scored packages."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.data.fingerprint import rows_of
from harness.evaluation import tables
from harness.report.page import from_split, gallery
from harness.report.page.content import Members, PageContent
from harness.report.tables.view import title_of
from harness.report.views.by_class import with_place
from harness.runs.workspace import Workspace
from harness.utils.command_line import command_line
from metrics.averages import average_of
from metrics.masks.class_indices import write_mask
from metrics.masks.classes import chosen_class
from metrics.masks.outline import contour_path
from metrics.masks.read import Mask, fit_prediction
from metrics.utils.errors import UserError
from metrics.utils.names import counted
from submissions.leaderboard import best_first, by_name
from submissions.ledger import Ledger
from submissions.reading.archive import Limits, open_archive
from submissions.reading.mask import Content
from submissions.reading.structure import arrange
from submissions.reading.validate import inspect_masks
from submissions.rounds import Round, find_frames, frame_sizes
from submissions.truth import Truth, find_truth

if TYPE_CHECKING:
    from harness.config.settings import Settings

Scores = Mapping[str, Mapping[str, Any]]
"""Rows of ``Ledger.scores`` by team and model."""


def gather(
    settings: Settings,
    round_: Round,
    scores: pd.DataFrame,
    truth: Path | None = None,
    *,
    team_pages: bool = False,
) -> PageContent:
    """The frame tables of the best package of each team and model, and a gallery.

    The gallery needs the test frames, the packages and the truth of their scores; without one of
    them the page has no gallery and says so.

    ``scores`` are those by the official protocol, newest first, as averages over test sets
    (``submissions.leaderboard.averaged``); ``truth`` is by default the folder that the packages
    were scored against. With ``team_pages`` every model's worst frames are drawn, not those of the
    leading models alone.

    Raises:
        UserError: If no frame table of a score is left.
    """
    best = best_scores(scores)
    found, notes = _frame_tables(settings, round_, best)
    notes += left_out(scores, best)  # of all: what lacks a table has a note of its own
    best = {
        name: tables.with_package(settings.workspace, row)
        for name, row in best.items()
        if name in found
    }
    table = with_place(tables.join(found))
    content = PageContent(
        name=f"round {round_.name}",
        protocol="official",
        frames=table,
        cards=[],
        facts=_facts(best, table),
        ensemble=from_split.ENSEMBLE if from_split.ENSEMBLE in found else "",
        average=average_of(table, scores["average"].iloc[0]),
        notes=notes,
    )
    try:
        return _with_gallery(content, settings, round_, best, truth, team_pages=team_pages)
    except UserError as error:
        notes.append(f"without pictures: {error.message}")
    return content


def best_scores(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The row of the best score of each team and model, by their names, best first.

    Only scores against the same truth can be compared: the truth of the newest score.
    """
    alike = scores[scores["truth_sha256"] == scores["truth_sha256"].iloc[0]]
    named = by_name(best_first(alike).drop_duplicates(["team", "model"]))
    # Plots tell models apart by title, and our 'unet' has that of a package U-Net.zip.
    titles = Counter(map(title_of, named))
    return {
        f"{name} (package)" if name == title_of(name) and titles[name] > 1 else name: row
        for name, row in named.items()
    }


def left_out(scores: pd.DataFrame, best: Scores) -> list[str]:
    """A note on the models that have scores against another truth alone."""
    shown = {(row["team"], row["model"]) for row in best.values()}
    every = by_name(scores.drop_duplicates(["team", "model"]))
    names = ", ".join(n for n, row in every.items() if (row["team"], row["model"]) not in shown)
    why = "left out, since they were scored against another truth than the newest score"
    return [f"{why}: {names}; score their packages again"] if names else []


def _frame_tables(
    settings: Settings, round_: Round, best: Scores
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The frame table of each score, and a note on each that is missing."""
    found, missing = tables.load_scored(Workspace(settings.workspace), best)
    if not found:
        raise UserError(
            f"no frame table of a score in round {round_.name} is left in "
            f"{settings.workspace / 'scores'}. Score the packages again with "
            f"'{command_line('score')}'."
        )
    notes = [f"{name}: its frame table is missing; score its package again" for name in missing]
    return found, notes


def _with_gallery(
    content: PageContent,
    settings: Settings,
    round_: Round,
    best: Scores,
    folder: Path | None,
    *,
    team_pages: bool,
) -> PageContent:
    """Draw the outlines of the masks and measure the members' disagreement.

    Raises:
        UserError: If the frames, the truth or a package are not at hand or not the ones that
            were scored.
    """
    first = next(iter(best.values()))
    where = _truth_folder(folder, first)
    truth = find_truth(where, round_.test_sets, round_.layout, classes=settings.classes)
    if truth.sha256 != first["truth_sha256"]:
        raise UserError(f"{truth.folder} is not the truth that the packages were scored with")
    frames = _frames(settings, round_, truth)
    own = _members(settings, round_, best, content.ensemble) if content.ensemble else []
    members = _measured(content, frames, own, best, round_, truth)
    shown = from_split.chosen_frames(content.frames, frames, content.ensemble, members)
    records = rows_of(frames[frames["frame"].isin(shown)])
    outlines = _Outlines(truth, [str(row["frame"]) for row in records])
    for name, wanted in _drawn(content, records, team_pages=team_pages).items():
        take = partial(outlines.take, name)
        _each_mask(best[name], round_, truth, take, wanted)
    return replace(content, cards=gallery.cards(records, outlines.of), members=members)


class _Outlines:
    """The outlines of masks, drawn as they are read, so that no mask is kept."""

    def __init__(self, truth: Truth, frames: Sequence[str]) -> None:
        self._truth = truth
        self._drawn: dict[str, dict[str, str]] = {frame: {} for frame in frames}

    def take(self, model: str, frame: str, mask: Mask) -> None:
        """Draw a model's mask of one of the frames."""
        scale = gallery.scale_of(mask.shape[1], len(self._drawn))
        self._drawn[frame][model] = contour_path(mask, scale)

    def of(self, record: Mapping[str, Any], scale: float) -> tuple[str, dict[str, str]]:
        """As ``gallery.Outlines``."""
        test_set, name = record["frame"].split("/", 1)
        truth = self._truth.bits(test_set, name).unpacked()
        return contour_path(truth, scale), self._drawn[record["frame"]]


def _drawn(
    content: PageContent, records: Sequence[Mapping[str, Any]], *, team_pages: bool
) -> dict[str, set[str]]:
    """Which of the frames are drawn of each model."""
    shown = {str(row["frame"]) for row in records}
    return {
        name: shown if name in content.leading else set(content.worst(name, shown))
        for name in (content.models if team_pages else content.leading)
    }


def _write(folder: Path, frame: str, mask: Mask) -> None:
    write_mask(folder / f"{frame}.png", mask)


def _measured(
    content: PageContent,
    frames: pd.DataFrame,
    own: Sequence[str],
    best: Scores,
    round_: Round,
    truth: Truth,
) -> Members | None:
    """The ensemble's members, whose masks are compared with each other; ``None`` without two."""
    if len(own) < 2:
        return None
    with tempfile.TemporaryDirectory(prefix="harness-report-") as place:
        folders = {name: Path(place) / str(number) for number, name in enumerate(own)}
        for name, folder in folders.items():
            _each_mask(best[name], round_, truth, partial(_write, folder))
        table = content.frames[content.frames["model"].isin(own)]
        return from_split.members_of(table, frames, folders)


def _members(settings: Settings, round_: Round, best: Scores, ensemble: str) -> Sequence[str]:
    """The packages of the very runs that the ensemble was made of, as far as they are entered."""
    entries = Ledger(settings.workspace).submissions(round_.name)
    entered = {row["package_sha256"]: row for row in entries.to_dict("records")}
    package = entered.get(best[ensemble]["package_sha256"])
    if package is None:
        return []
    runs = set(json.loads(package["settings"]).get("members", {}).values())
    return [
        name
        for name, row in best.items()
        if entered.get(row["package_sha256"], {}).get("run") in runs
    ]


def _truth_folder(folder: Path | None, row: Mapping[str, Any]) -> Path:
    kept = folder or (json.loads(row["settings"]).get("truth") if row["settings"] else None)
    if kept is None:
        raise UserError("give the folder of the truth with --truth")
    return Path(kept)


def _frames(settings: Settings, round_: Round, truth: Truth) -> pd.DataFrame:
    """The test frames with their truth, which only an organiser has."""
    (folder,) = settings.require("test_frames")
    images = find_frames(round_, folder)
    sizes = frame_sizes(images)
    rows = [
        {"frame": f"{test_set}/{name}", "image": str(image), "truth": "mask",
         "mask": str(truth.masks[test_set][name]), "height": height, "width": width}
        for test_set, names in images.items()
        for name, image in names.items()
        for height, width in [sizes[test_set][name]]
        if name in truth.masks.get(test_set, {})
    ]  # fmt: skip
    if len(rows) < truth.frames:
        raise UserError(
            f"{folder} holds {len(rows)} of the {truth.frames} frames that were scored. Name the "
            "release with --test-frames."
        )
    return pd.DataFrame(rows, dtype=object)  # paths may hold bytes that are no UTF-8


def _each_mask(
    row: Mapping[str, Any],
    round_: Round,
    truth: Truth,
    take: Callable[[str, Mask], None],
    wanted: Collection[str] | None = None,
) -> None:
    """Give the masks of a scored package with their frames, at these' sizes; by default all.

    Raises:
        UserError: If it lacks masks by the names that the round has now.
    """

    def fitted(content: Content) -> None:
        place = content.place
        size = truth.sizes[place.test_set][place.name]
        mask = fit_prediction(content.decode("official"), size, protocol="official")
        take(f"{place.test_set}/{place.name}", mask)

    threshold = json.loads(row["settings"] or "{}").get("threshold", round_.layout.threshold)
    with open_archive(Path(row["package"]), round_.layout.root, Limits()) as archive:
        structure = arrange(archive, round_.layout, expected=truth.sizes)
        if len(every := structure.masks) < truth.frames:
            raise UserError(f"{row['package']} is not laid out as round {round_.name} says now")
        taken = (m for m in every if wanted is None or f"{m.test_set}/{m.name}" in wanted)
        chosen = replace(structure, masks=tuple(taken))
        inspect_masks(archive, chosen, truth.sizes, threshold=threshold, on_mask=fitted)


def _facts(best: Scores, table: pd.DataFrame) -> dict[str, str]:
    first = next(iter(best.values()))
    frames = counted(table["frame"].nunique(), "frame")
    facts = {
        "frames": f"{frames}, truth {first['truth_sha256'][:12]}",
        "truth": f"a pixel above 0 is {chosen_class(table)} (protocol 'official')",
        **from_split.made(),
    }
    for name, row in best.items():
        facts[name] = f"{Path(row['package']).name}, SHA-256 {row['package_sha256'][:12]}"
    return facts
