"""The content of a round's page, gathered from its scored packages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.evaluation import tables
from harness.report.page import from_split
from harness.report.page.content import Members, PageContent
from harness.report.views.by_class import with_place
from harness.runs.workspace import Workspace
from metrics.averages import average_of
from metrics.masks.class_indices import write_mask
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.page.gallery import Card
    from submissions.rounds import Round
    from submissions.truth import Truth

Scores = Mapping[str, Mapping[str, Any]]
"""Rows of ``Ledger.scores`` by team and model."""


def gather(
    settings: Settings, round_: Round, scores: pd.DataFrame, truth: Path | None = None
) -> PageContent:
    """The frame tables of the best package of each team and model, and a gallery.

    The gallery needs the test frames, the packages and the truth of their scores; without one of
    them the page has no gallery and says so.

    ``scores`` are those by the official protocol, newest first, as averages over test sets
    (``submissions.leaderboard.averaged``); ``truth`` is by default the folder that the packages
    were scored against.

    Raises:
        UserError: If nothing is scored in the round, or no frame table of a score is left.
    """
    best = best_scores(scores, round_.name)
    found, notes = _frame_tables(settings, round_, best)
    table = with_place(tables.join(found))
    ensemble = from_split.ENSEMBLE if from_split.ENSEMBLE in found else ""
    cards: list[Card] = []
    members = None
    try:
        cards, members = _gallery(settings, round_, best, truth, table, ensemble)
    except UserError as error:
        notes.append(f"without pictures: {error.message}")
    return PageContent(
        name=f"round {round_.name}",
        protocol="official",
        frames=table,
        cards=cards,
        facts=_facts(best, table),
        ensemble=ensemble,
        members=members,
        average=average_of(table, scores["average"].iloc[0]),
        notes=notes,
    )


def best_scores(scores: pd.DataFrame, round_name: str) -> dict[str, dict[str, Any]]:
    """The row of the best score of each team and model, by their names, best first.

    Only scores against the same truth can be compared: the truth of the newest score.

    Raises:
        UserError: If nothing is scored in the round.
    """
    if scores.empty:
        raise UserError(
            f"no package of round {round_name} is scored yet. Do it with: harness score "
            f"workspace/submissions/round-{round_name} --truth DIR"
        )
    alike = scores[scores["truth_sha256"] == scores["truth_sha256"].iloc[0]]
    ordered = alike.sort_values("score", ascending=False, kind="stable")
    rows = ordered.drop_duplicates(["team", "model"]).to_dict("records")
    return {
        " ".join(part for part in (row["team"], row["model"]) if part): {
            str(key): value for key, value in row.items()
        }
        for row in rows
    }


def _frame_tables(
    settings: Settings, round_: Round, best: Scores
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The frame table of each score, and a note on each that is missing."""
    found, missing = tables.load_scored(Workspace(settings.workspace), best)
    if not found:
        raise UserError(
            f"no frame table of a score in round {round_.name} is left in "
            f"{settings.workspace / 'scores'}. Score the packages again with 'harness score'."
        )
    return found, [
        f"{name}: its frame table is missing; score its package again" for name in missing
    ]


def _gallery(
    settings: Settings,
    round_: Round,
    best: Scores,
    folder: Path | None,
    table: pd.DataFrame,
    ensemble: str,
) -> tuple[list[Card], Members | None]:
    """Unpack the masks, draw their contours and measure the members' disagreement.

    Raises:
        UserError: If the frames, the truth or a package are not at hand or not the ones that
            were scored.
    """
    from submissions.truth import find_truth

    best = {name: row for name, row in best.items() if name in set(table["model"])}
    first = next(iter(best.values()))
    where = _truth_folder(folder, first)
    truth = find_truth(where, round_.test_sets, round_.layout, classes=settings.classes)
    if truth.sha256 != first["truth_sha256"]:
        raise UserError(f"{truth.folder} is not the truth that the packages were scored with")
    frames = _frames(settings, round_, truth)
    with tempfile.TemporaryDirectory(prefix="harness-report-") as place:
        masks = {name: Path(place) / str(number) for number, name in enumerate(best)}
        if truth.classes.values:
            frames["mask"] = [_write_truth(truth, Path(place), frame) for frame in frames["frame"]]
        own = _members(settings, round_, best, ensemble) if ensemble else []
        for name in own:
            _unpack(Path(best[name]["package"]), round_, truth, masks[name])
        folders = {name: masks[name] for name in own}
        members = from_split.members_of(table[table["model"].isin(own)], frames, folders)
        shown = from_split.chosen_frames(table, frames, ensemble, members)
        for name in best.keys() - set(own):
            _unpack(Path(best[name]["package"]), round_, truth, masks[name], shown)
        cards = from_split.cards_of(table, frames, masks, ensemble, members, decoding="official")
    return cards, members


def _members(settings: Settings, round_: Round, best: Scores, ensemble: str) -> Sequence[str]:
    """The packages of the very runs that the ensemble was made of, as far as they are entered."""
    from submissions.ledger import Ledger

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
    if folder is not None:
        return folder
    kept = json.loads(row["settings"]).get("truth") if row["settings"] else None
    if kept is None:
        raise UserError("give the folder of the truth with --truth")
    return Path(kept)


def _frames(settings: Settings, round_: Round, truth: Truth) -> pd.DataFrame:
    """The test frames with their truth, which only an organiser has."""
    import pandas as pd

    from submissions.rounds import find_frames, frame_sizes

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


def _write_truth(truth: Truth, folder: Path, frame: str) -> str:
    """Write a frame's true mask of the chosen class as 0 and 255, as packages have it."""
    path = folder / "truth" / f"{frame}.png"
    test_set, name = frame.split("/", 1)
    write_mask(path, truth.bits(test_set, name).unpacked())
    return str(path)


def _unpack(
    package: Path, round_: Round, truth: Truth, folder: Path, wanted: Collection[str] | None = None
) -> None:
    """Write masks of a package at their frames' sizes, ``TEST_SET/NAME.png``; by default all.

    Raises:
        UserError: If it lacks masks by the names that the round has now.
    """
    from metrics.masks.read import fit_prediction
    from submissions.reading.archive import Limits, open_archive
    from submissions.reading.mask import Content
    from submissions.reading.structure import arrange
    from submissions.reading.validate import inspect_masks

    def take(content: Content) -> None:
        place = content.place
        size = truth.sizes[place.test_set][place.name]
        mask = fit_prediction(content.decode("official"), size, protocol="official")
        write_mask(folder / place.test_set / f"{place.name}.png", mask)

    with open_archive(package, round_.layout.root, Limits()) as archive:
        structure = arrange(archive, round_.layout, expected=truth.sizes)
        masks = structure.masks
        if len(masks) < truth.frames:
            raise UserError(f"{package} is not laid out as round {round_.name} says now")
        if wanted is not None:
            masks = tuple(one for one in masks if f"{one.test_set}/{one.name}" in wanted)
        inspect_masks(archive, replace(structure, masks=masks), truth.sizes, on_mask=take)


def _facts(best: Scores, table: pd.DataFrame) -> dict[str, str]:
    first = next(iter(best.values()))
    facts = {
        "frames": f"{table['frame'].nunique()} frames, truth {first['truth_sha256'][:12]}",
        "truth": "any pixel above 0 is polyp, as the organisers read it (protocol 'official')",
        **from_split.made(),
    }
    for name, row in best.items():
        facts[name] = f"{Path(row['package']).name}, SHA-256 {row['package_sha256'][:12]}"
    return facts
