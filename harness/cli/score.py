"""``harness score``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import average_option, format_option, with_settings
from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.report.tables.formats import Format
    from metrics.masks.read import Protocol
    from metrics.statistics.samples import Average
    from submissions.rounds import Round
    from submissions.scoring import PackageScore
    from submissions.truth import Truth

EPILOG = """\b
Examples:
  harness score package.zip --truth FOLDER
  harness score FOLDER_OF_ZIPS --truth FOLDER --round 2 --format csv
  harness score package.zip --truth FOLDER --protocol strict --table contours
  harness score package.zip --truth FOLDER --table generalisation
"""


@click.command(epilog=EPILOG)
@click.argument(
    "packages", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PACKAGE..."
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folders EndoCV_DATAk with the true masks, NAME_mask.*",
)
@click.option(
    "--round",
    "round_name",
    metavar="NAME",
    help="The round; by default the one that the package was submitted to.",
)
@click.option(
    "--protocol",
    type=click.Choice(["official", "strict"]),
    default="official",
    show_default=True,
    help="How masks are read, and which faults are tolerated.",
)
@click.option(
    "--team",
    metavar="NAME",
    help="The team; by default a package that was not submitted here is named after its file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the result files go; by default 'scores' in the workspace.",
)
@click.option(
    "--hausdorff/--no-hausdorff",
    default=True,
    show_default=True,
    help="The organisers' Hausdorff figures, for their result file.",
)
@click.option(
    "--table",
    "kind",
    type=click.Choice(["scores", "contours", "polyps", "generalisation"]),
    default="scores",
    show_default=True,
    help="scores: by test set. contours, polyps (strict only): true distances between contours, "
    "polyps found. generalisation: the loss from one test set to another.",
)
@average_option("The score over all test sets that comes first")
@format_option()
@with_settings("workspace", "rounds")
@click.pass_context
def command(
    context: click.Context,
    /,
    settings: Settings,
    packages: tuple[Path, ...],
    truth: Path,
    round_name: str | None,
    out: Path | None,
    kind: str,
    average: Average | None,
    format_: Format,
    **options: Any,
) -> None:
    """Score packages as the organisers do: zips, unpacked folders, or folders of zips.

    Every package is validated first. A bad one is reported, the rest are scored, and the exit
    status is 1. Scores go into the register, for 'harness leaderboard'; the organisers' result
    files and the frame table into the workspace.
    """
    from harness.utils.device import keep_memory
    from submissions.rounds import get_round, load_rounds

    keep_memory()
    if kind in ("contours", "polyps") and options["protocol"] != "strict":
        raise click.UsageError(f"--table {kind} is of true contours: add --protocol strict")
    rounds = load_rounds(settings.rounds)
    if round_name is not None:
        get_round(round_name, rounds)
    found = _find(packages, {round_.layout.task for round_ in rounds.values()})
    job = _Job(settings, rounds, truth, round_name, out, options)
    scores = job.score_all(found)
    if kind == "scores":
        _show(scores, average or "sets", format_, options["protocol"])
    elif scores:
        _show_detail(kind, scores, format_, options["protocol"])
    if len(scores) < len(found):
        refused = len(found) - len(scores)
        console.warn(f"{refused} of {len(found)} packages could not be scored.")
        context.exit(1)


class _Job:
    """What the packages of one call share; the truth of each round is read once."""

    def __init__(
        self,
        settings: Settings,
        rounds: dict[str, Round],
        truth_folder: Path,
        round_name: str | None,
        out: Path | None,
        options: dict[str, Any],
    ) -> None:
        from harness.runs.workspace import Workspace
        from submissions.ledger import Ledger

        self.workspace = Workspace(settings.workspace)
        self.registers = self._check_register(out)
        self.ledger = Ledger(settings.workspace)
        self.rounds, self.truth_folder = rounds, truth_folder
        self.round_name, self.out, self.options = round_name, out, options
        self.submitted = self.ledger.submissions().drop_duplicates("package_sha256")
        self.truths: dict[str, Truth] = {}

    def _check_register(self, out: Path | None) -> bool:
        """Whether scores can be registered; without the right to, ``--out`` still takes the files.

        Raises:
            UserError: If the workspace cannot be written and there is no ``--out``.
        """
        try:
            self.workspace.check_writable()
        except UserError as error:
            if out is None:
                raise
            console.warn(f"{error.message} The result files go to {out}; nothing is registered.")
            return False
        return True

    def score_all(self, found: Sequence[tuple[Path, str]]) -> list[tuple[str, PackageScore]]:
        """Score all packages; one that cannot be scored is named, and the rest are scored.

        Raises:
            UserError: If the only package cannot be scored, or the truth cannot be used.
        """
        from submissions.truth import TruthError

        scores = []
        for package, name in console.track(found, "Scoring") if len(found) > 1 else found:
            try:
                scores.append(self.score(package, name))
            except UserError as error:
                if len(found) == 1 or isinstance(error, TruthError):
                    raise
                console.fail(error.format_message())
        return scores

    def score(self, package: Path, shown: str) -> tuple[str, PackageScore]:
        """Score one package, write its files and enter it; with the name it is shown under."""
        from submissions.layout import PackageLayout
        from submissions.scoring import package_sha256, score_package, score_rows

        known = self.submitted[self.submitted["package_sha256"] == package_sha256(package)]
        own = known.iloc[0] if len(known) else None
        name = self.round_name or (str(own["round"]) if own is not None else "")
        round_ = self.rounds.get(name)
        score = score_package(
            package,
            self._truth(round_),
            self.options["protocol"],
            layout=round_.layout if round_ else PackageLayout(),
            hausdorff=self.options["hausdorff"],
        )
        team = self.options["team"] or ("" if own is not None else shown)
        self._note_same_bytes(package, score, team)
        # The files first: a row in the register says that its files are there.
        self._write(score)
        if self.registers:
            self.ledger.enter_scores(score_rows(score, round_name=name, team=team))
        for note in score.notes:
            console.note(f"{package.name}: {note}")
        if not name and self.registers:
            console.note(f"{package.name}: entered without a round; give --round to rank it in one")
        return team or str(own["model"] if own is not None else shown), score

    def _note_same_bytes(self, package: Path, score: PackageScore, team: str) -> None:
        """Say where another team handed in the very same package."""
        rows = self.ledger.scores()
        others = set(rows.loc[rows["package_sha256"] == score.package_sha256, "team"]) - {team, ""}
        if others:
            console.warn(f"{package.name}: the same bytes as the package of {', '.join(others)}")

    def _truth(self, round_: Round | None) -> Truth:
        from submissions.truth import find_truth

        key = round_.name if round_ else ""
        if key not in self.truths:
            test_sets, layout = (round_.test_sets, round_.layout) if round_ else (None, None)
            self.truths[key] = find_truth(self.truth_folder, test_sets, layout)
        return self.truths[key]

    def _write(self, score: PackageScore) -> None:
        from harness.utils.folders import replace_folder
        from metrics.utils.files import write_json

        folder = self.workspace.score_folder(
            score.package, score.package_sha256, score.protocol, top=self.out
        )
        with replace_folder(folder) as new:
            for test_set, result in score.organisers.items():
                write_json(new / f"{test_set}.json", result)
            score.frames.to_csv(new / "frames.csv", index=False)
        console.note(f"{score.package.name}: result files in {folder}")


def _find(paths: tuple[Path, ...], tasks: set[str]) -> list[tuple[Path, str]]:
    """Each package with its name; what else lies in the folders is named."""
    from submissions.reading.find_packages import find_packages

    packages = []
    for path in paths:
        found = find_packages(path, tasks)
        packages += found.packages
        if found.others:
            console.note(f"{path}: no packages, passed over: {', '.join(found.others)}")
    return packages


def _show(
    scores: list[tuple[str, PackageScore]], average: Average, format_: Format, protocol: Protocol
) -> None:
    from harness.report.views.scores import scores_view

    if not scores:
        return
    figures = [score.figures.assign(package=name) for name, score in scores]
    metadata = {"protocol": protocol, "truth_sha256": scores[0][1].truth_sha256}
    view = scores_view(figures, format_, average=average, protocol=protocol)
    view.show(format_, metadata | {"average": average})


def _show_detail(
    kind: str, scores: list[tuple[str, PackageScore]], format_: Format, protocol: Protocol
) -> None:
    """Another table of the packages' frames, with packages as models."""
    import pandas as pd

    from harness.report.views import detail

    tables = [score.frames.assign(model=name) for name, score in scores]
    frames = pd.concat(tables, ignore_index=True)
    if kind == "generalisation":
        view = detail.generalisation_view(
            frames,
            "test_set",
            title=f"Generalisation from test set to test set ({protocol} protocol)",
            formulas=protocol,
        )
    else:
        view = detail.by_test_set(frames, kind)
    view.show(format_, {"protocol": protocol, "truth_sha256": scores[0][1].truth_sha256})
