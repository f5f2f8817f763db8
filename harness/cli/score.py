"""``harness score``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import format_option, with_settings
from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.tables.render import Format
    from harness.runs.workspace import Workspace
    from metrics.masks.read import Protocol
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
    help="How masks are read, and what is tolerated.",
)
@click.option(
    "--team",
    metavar="NAME",
    help="Whose the packages are; by default a package that "
    "was not submitted here is named after its file.",
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
    "polyps found. generalisation: what is lost from one test set to another.",
)
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
    format_: Format,
    **options: Any,
) -> None:
    """Score packages as the organisers do: zips, unpacked folders, or folders of zips.

    Every package is validated first. A bad one is reported, the rest are scored, and the exit
    status is 1. Scores go into the register, for 'harness leaderboard'; the organisers' result
    files and the frame table into the workspace.
    """
    from harness.runs.workspace import Workspace
    from harness.utils.allocation import keep_memory
    from submissions.rounds import get_round, load_rounds

    keep_memory()
    if kind in ("contours", "polyps") and options["protocol"] != "strict":
        raise click.UsageError(f"--table {kind} is of true contours: add --protocol strict")
    rounds = load_rounds(settings.rounds)
    if round_name is not None:
        get_round(round_name, rounds)
    workspace = Workspace(settings.workspace)
    workspace.check_writable()
    job = _Job(
        workspace=workspace,
        rounds=rounds,
        truth_folder=truth,
        round_name=round_name,
        out=out,
        options=options,
    )
    found = list(_expand(packages, {round_.layout.task for round_ in rounds.values()}))
    scores: list[tuple[str, PackageScore]] = []
    refused = 0
    for package, name in console.track(found, "Scoring") if len(found) > 1 else found:
        try:
            scores.append(job.score(package, name))
        except UserError as error:
            if len(found) == 1:
                raise
            refused += 1
            console.fail(error.format_message())
    if kind == "scores":
        _show(scores, format_, options["protocol"])
    elif scores:
        _show_detail(kind, scores, format_, options["protocol"])
    if refused:
        console.warn(f"{refused} of {len(found)} packages could not be scored.")
        context.exit(1)


class _Job:
    """What all packages of one call share; the truth of each round is read once."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        rounds: dict[str, Round],
        truth_folder: Path,
        round_name: str | None,
        out: Path | None,
        options: dict[str, Any],
    ) -> None:
        from submissions.ledger import Ledger

        self.workspace, self.rounds, self.truth_folder = workspace, rounds, truth_folder
        self.ledger = Ledger(workspace.root)
        self.round_name, self.out, self.options = round_name, out, options
        self.submitted = self.ledger.submissions().drop_duplicates("package_sha256")
        self.truths: dict[str, Truth] = {}

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
        self.ledger.enter_scores(score_rows(score, round_name=name, team=team))
        for note in score.notes:
            console.note(f"{package.name}: {note}")
        if not name:
            console.note(f"{package.name}: entered without a round; give --round to rank it in one")
        self._write(score)
        return team or str(own["model"] if own is not None else shown), score

    def _truth(self, round_: Round | None) -> Truth:
        from submissions.truth import find_truth

        key = round_.name if round_ else ""
        if key not in self.truths:
            test_sets, layout = (round_.test_sets, round_.layout) if round_ else (None, None)
            self.truths[key] = find_truth(self.truth_folder, test_sets, layout)
        return self.truths[key]

    def _write(self, score: PackageScore) -> None:
        from metrics.utils.files import atomic_path, write_json

        folder = self.workspace.score_folder(
            score.package, score.package_sha256, score.protocol, top=self.out
        )
        for test_set, result in score.organisers.items():
            write_json(folder / f"{test_set}.json", result)
        with atomic_path(folder / "frames.csv") as temporary:
            score.frames.to_csv(temporary, index=False)
        console.note(f"{score.package.name}: result files in {folder}")


def _expand(packages: tuple[Path, ...], tasks: set[str]) -> Iterator[tuple[Path, str]]:
    """Each package with its name; of a folder that is none itself, all that lie in it.

    Those are zips and unpacked packages, also one folder down, where each team has a folder.
    """
    for path in packages:
        if not path.is_dir() or _is_package(path, tasks):
            yield path, path.stem
            continue
        found = list(_inside(path, tasks))
        used = {*found, *(package.parent for package in found)}
        others = [child.name for child in sorted(path.iterdir()) if child not in used]
        if not found:
            raise UserError(f"{path}: expected a package or a folder of packages, found neither.")
        if others:
            console.note(f"{path}: no packages, passed over: {', '.join(others)}")
        for package in found:
            whole = package.relative_to(path)
            yield package, (whole if package.is_dir() else whole.with_suffix("")).as_posix()


def _inside(folder: Path, tasks: set[str], *, deeper: bool = True) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or child.name == "__MACOSX":
            continue
        if child.suffix.lower() == ".zip" or (child.is_dir() and _is_package(child, tasks)):
            yield child
        elif deeper and child.is_dir():
            yield from _inside(child, tasks, deeper=False)


def _is_package(folder: Path, tasks: set[str]) -> bool:
    wanted = tasks - {""}
    return any(any(folder.glob(f"*/{task}")) or (folder / task).is_dir() for task in wanted)


def _show(scores: list[tuple[str, PackageScore]], format_: Format, protocol: Protocol) -> None:
    import pandas as pd

    from harness.report.tables.render import show
    from harness.report.views.by_class import left_out_note

    if not scores:
        return
    parts = [score.figures.assign(package=name) for name, score in scores]
    figures = pd.concat(parts, ignore_index=True)
    if len(scores) > 1:
        figures = figures[figures["test_set"] == "all"].sort_values("score", ascending=False)
    show(
        figures,
        format=format_,
        columns=_columns(figures),
        title=f"Scores by the {protocol} protocol",
        caption="Means over frames. Score: mean of F1, F2, PPV and recall, \u00b1 sd_frames (the "
        "mean of their SDs over frames)." + left_out_note(figures, protocol),
        metadata={"protocol": protocol, "truth_sha256": scores[0][1].truth_sha256},
    )


def _show_detail(
    kind: str, scores: list[tuple[str, PackageScore]], format_: Format, protocol: Protocol
) -> None:
    """Another table of the packages' frames, each package in the place of a model."""
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


def _columns(figures: pd.DataFrame) -> list[Any]:
    from harness.report.tables.columns import Column
    from harness.report.views.by_class import left_out_columns

    names = {
        "f1": "F1", "f2": "F2", "ppv": "PPV", "recall": "Recall", "iou": "IoU",
        "specificity": "Spec.", "accuracy": "Acc.",
    }  # fmt: skip
    columns = [
        Column(key="package", title="Package"),
        Column(key="test_set", title="Test set"),
        Column(key="score", title="Score", decimals=3, sd="sd_frames"),
        *(Column(key=key, title=title, decimals=3) for key, title in names.items()),
        Column(key="n", title="Frames"),
    ]
    columns += left_out_columns(figures)
    return [*columns, Column(key="latency_ms", title="ms/frame", decimals=1)]
