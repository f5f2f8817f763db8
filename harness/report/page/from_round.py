"""Everything that a workspace knows of a round's scored packages, gathered for the page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.page import from_split
from harness.report.page.content import PageContent
from harness.report.tables.view import View
from harness.report.views.by_class import with_place
from harness.runs.workspace import Workspace
from metrics.masks.labels import write_mask
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from submissions.rounds import Round
    from submissions.truth import Truth


def gather(
    settings: Settings,
    round_: Round,
    scores: pd.DataFrame,
    *,
    leaderboard: View | None,
    truth: Path | None = None,
) -> PageContent:
    """The page's source: the frame tables of the best package of each model, and a gallery.

    The gallery needs the test frames, the packages, and the truth they were scored against; where
    one of them is not at hand any more, the page is without it and says so.

    Args:
        settings: Where test frames and workspace lie.
        round_: The round.
        scores: Its scores by the official protocol, newest first.
        leaderboard: The round's leaderboard.
        truth: The truth's folder; by default the one that the packages were scored against.

    Raises:
        UserError: If nothing is scored in the round, or no frame table of a score is left.
    """
    best = best_scores(scores, round_.name)
    tables, missing = _tables(Workspace(settings.workspace), best)
    if not tables:
        raise UserError(
            f"no frame table of a score in round {round_.name} is left in "
            f"{settings.workspace / 'scores'}. Score the packages again with 'harness score'."
        )
    table = with_place(from_split.joined(tables))
    ensemble = from_split.ENSEMBLE if from_split.ENSEMBLE in tables else ""
    drawn = _Gallery(table, ensemble)
    notes = [f"{name}: its frame table is missing; score its package again" for name in missing]
    try:
        drawn.draw(settings, round_, {name: best[name] for name in tables}, truth)
    except UserError as error:
        notes.append(f"without pictures: {error.message}")
    return PageContent(
        name=f"round {round_.name}",
        split="",
        protocol="official",
        formulas="official",
        frames=table,
        histories={},
        cards=drawn.cards,
        facts=_facts(best, table),
        divergence=drawn.divergence,
        ensemble=ensemble,
        members=drawn.members,
        leaderboard=leaderboard,
        is_paper_split=False,
        notes=notes,
    )


def best_scores(scores: pd.DataFrame, round_name: str) -> dict[str, dict[str, Any]]:
    """The row of the best score of each team and model, by their names, best first.

    Where packages were scored against several truths, those of the newest score's are taken, for
    only these can be compared.

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


def _tables(
    workspace: Workspace, best: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The frame table of each score, and the names of those that have none any more."""
    import pandas as pd

    tables, missing = {}, []
    for name, row in best.items():
        folder = workspace.score_folder(row["package"], row["package_sha256"], row["protocol"])
        file = folder / "frames.csv"
        if file.exists():
            tables[name] = pd.read_csv(file, keep_default_na=False, na_values={"latency_ms": [""]})
        else:
            missing.append(name)
    return tables, missing


class _Gallery:
    """The pictures of a round, drawn from its packages."""

    def __init__(self, table: pd.DataFrame, ensemble: str) -> None:
        self.table, self.ensemble = table, ensemble
        self.cards: list[Any] = []
        self.divergence: pd.DataFrame | None = None
        self.members: list[str] = []

    def draw(
        self,
        settings: Settings,
        round_: Round,
        best: Mapping[str, Mapping[str, Any]],
        folder: Path | None,
    ) -> None:
        """Unpack the masks, measure the members' disagreement and draw the contours.

        Raises:
            UserError: If the frames, the truth or a package are not at hand or not the ones that
                were scored.
        """
        import models
        from submissions.truth import find_truth

        first = next(iter(best.values()))
        truth = find_truth(_truth_folder(folder, first), round_.test_sets)
        if truth.sha256 != first["truth_sha256"]:
            raise UserError(f"{truth.folder} is not the truth that the packages were scored with")
        frames = _frames(settings, round_, truth)
        known = models.get(self.ensemble).members if self.ensemble else ()
        with tempfile.TemporaryDirectory(prefix="harness-report-") as place:
            masks = {}
            for number, (name, row) in enumerate(best.items()):
                masks[name] = Path(place) / str(number)
                _unpack(Path(row["package"]), round_, truth, masks[name])
            members = [name for name in known if name in masks]
            self.divergence = from_split.divergence_of(frames, masks, members)
            self.members = members if self.divergence is not None else []
            self.cards = from_split.cards_of(
                self.table, frames, masks, self.ensemble, self.divergence, decoding="official"
            )


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
    return pd.DataFrame.from_records(rows)


def _unpack(package: Path, round_: Round, truth: Truth, folder: Path) -> None:
    """Write each mask of a package at its frame's size, ``TEST_SET/NAME.png``."""
    from metrics.masks.read import fit_prediction
    from submissions.reading.mask import Content
    from submissions.reading.validate import inspect_package

    def take(content: Content) -> None:
        place = content.place
        size = truth.sizes[place.test_set][place.name]
        mask = fit_prediction(content.decode("official"), size, protocol="official")
        write_mask(folder / place.test_set / f"{place.name}.png", mask)

    inspect_package(package, truth.sizes, layout=round_.layout, on_mask=take)


def _facts(best: Mapping[str, Mapping[str, Any]], table: pd.DataFrame) -> dict[str, str]:
    first = next(iter(best.values()))
    facts = {
        "frames": f"{table['frame'].nunique()} frames, truth {first['truth_sha256'][:12]}",
        "truth": "any pixel above 0 is polyp, as the organisers read it (protocol 'official')",
        **from_split.made(),
    }
    for name, row in best.items():
        facts[name] = f"{Path(row['package']).name}, SHA-256 {row['package_sha256'][:12]}"
    return facts
