"""``harness score``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.command import Command
from harness.cli.options import average_option, format_option, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from metrics.utils.errors import UserError
from metrics.utils.names import counted

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.report.tables.choices import Format
    from metrics.averages import Average
    from metrics.masks.read import Protocol
    from submissions.rounds import Round
    from submissions.scoring import PackageScore

EPILOG = """\b
Examples:
  harness score package.zip --truth FOLDER
  harness score FOLDER_OF_ZIPS --truth FOLDER --round 2 --format csv
  harness score FOLDER_OF_ZIPS --truth FOLDER --round 2 --jobs 4 --skip-scored
  harness score package.zip --truth FOLDER --protocol strict --table contours
  harness score package.zip --truth FOLDER --table generalisation
  harness score masks/ --truth TestDataset/
  harness score maps/ --truth TestDataset/ --protocol pranet
  harness score maps/ --truth TestDataset/ --threshold 0.4
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("packages", nargs=-1, required=True, type=UserPath(), metavar="PACKAGE...")
@click.option(
    "--truth",
    type=UserPath(),
    required=True,
    metavar="DIR",
    help="Folders EndoCV_DATAk with the true masks, NAME_mask.*; for a plain folder of masks one "
    "like it.",
)
@click.option(
    "--round",
    "round_name",
    metavar="NAME",
    help="The round; by default the one that the package was submitted to.",
)
@click.option(
    "--protocol",
    type=click.Choice(["official", "strict", "pranet"]),
    default="official",
    show_default=True,
    help="How masks are read, and which faults are tolerated. pranet: the table of PraNet's "
    "evaluation, for plain folders of probability maps or masks.",
)
@click.option(
    "--team",
    metavar="NAME",
    help="The team; by default the folder's of a package in a folder of teams, or the file's name.",
)
@click.option(
    "--out",
    type=UserPath(),
    metavar="DIR",
    help="Where the result files go; by default 'scores' in the workspace.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files in DIR of --out that the harness did not write.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Grey values are probabilities, 0 to 255 for 0 to 1, and polyp is above P; by default 0.5 "
    "in a round of grey masks.",
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
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Packages scored at a time, each in a process of its own; within each, threads decode.",
)
@click.option(
    "--skip-scored",
    is_flag=True,
    help="Pass over packages that were scored in this round, against this truth and by this "
    "threshold, before.",
)
@average_option("The score over all test sets that comes first")
@format_option()
@with_settings("workspace", "rounds")
def command(
    settings: Settings,
    packages: tuple[Path, ...],
    truth: Path,
    round_name: str | None,
    out: Path | None,
    kind: str,
    jobs: int,
    skip_scored: bool,
    average: Average | None,
    format_: Format,
    **options: Any,
) -> None:
    """Score packages as the organisers do: zips, unpacked folders, or folders of zips.

    Every package is validated first. A bad one is reported, the rest are scored, and the exit
    status is 1. Scores go into the register, for 'harness leaderboard'; the organisers' result
    files and the frame table into the workspace.

    Without --round, PACKAGE may also be a plain folder of masks, NAME.*, or of folders of masks by
    test set, or a folder of such folders; the true masks have the same names. Its scores do not go
    into the register. By the protocol pranet the masks may be grey probability maps, of 8 or 16
    bits.
    """
    from harness.evaluation.score_packages import ScoringJob
    from harness.utils.device import keep_memory
    from submissions.rounds import get_round, load_rounds

    keep_memory()
    _refuse_mixed(click.get_current_context().params)
    rounds = load_rounds(settings.rounds)
    if round_name is not None:
        get_round(round_name, rounds)
    # Folders of a round without a task folder look like plain folders: only --round tells.
    known = [r for r in rounds.values() if r.layout.task or r.name == round_name]
    found = _find(packages, known, may_be_plain=round_name is None)
    if options["protocol"] == "pranet":
        scored = _score_maps(settings, found, truth, out, format_, overwrite=options["overwrite"])
        _tell_refused(len(found) - scored, len(found))
        return
    job = ScoringJob(settings, rounds, truth, round_name, out, **options)
    scores = job.score_all(found, jobs=jobs, skip_scored=skip_scored)
    names = _told_apart((name, score.package) for name, score in scores)
    scores = [(name, score) for name, (_, score) in zip(names, scores, strict=True)]
    if scores and kind == "scores":
        _show(scores, average or "sets", format_, options["protocol"])
    elif scores:
        _show_detail(kind, scores, format_, options["protocol"])
    _tell_refused(job.refused, len(found))


def _refuse_mixed(given: Mapping[str, Any]) -> None:
    """Refuse options that do not go together, by the command's parameters."""
    kind, protocol, threshold = given["kind"], given["protocol"], given["threshold"]
    if protocol == "pranet":
        others = {"--table": kind != "scores", "--jobs": given["jobs"] > 1, "--team": given["team"]}
        others |= {"--skip-scored": given["skip_scored"], "--average": given["average"]}
        others |= {"--round": given["round_name"], "--threshold": threshold}
        if named := [name for name, value in others.items() if value]:
            raise click.UsageError(f"--protocol pranet has one table; leave out {', '.join(named)}")
    if kind != "scores" and given["average"]:
        raise click.UsageError(f"--table {kind} is of each test set; leave out --average")
    if kind in ("contours", "polyps") and protocol != "strict":
        raise click.UsageError(f"--table {kind} is of true contours: add --protocol strict")


def _told_apart(named: Iterable[tuple[str, Path]]) -> list[str]:
    """Names, with the path behind one that several packages have, such as those of one team."""
    named = list(named)
    times = Counter(name for name, _ in named)
    return [f"{name} ({path})" if times[name] > 1 else name for name, path in named]


def _tell_refused(refused: int, found: int) -> None:
    if refused:
        console.warn(f"{refused} of {counted(found, 'package')} could not be scored.")
        click.get_current_context().exit(1)


def _score_maps(
    settings: Settings,
    found: list[tuple[Path, str, bool]],
    truth: Path,
    out: Path | None,
    format_: Format,
    *,
    overwrite: bool,
) -> int:
    """Score folders of maps and print PraNet's table; how many could be scored."""
    import pandas as pd

    from harness.evaluation.score_maps import score_map_folders
    from harness.report.tables.view import show_views
    from harness.report.views.pranet import pranet_views
    from harness.runs.workspace import Workspace

    packages = [str(folder) for folder, _, is_plain in found if not is_plain]
    if packages:
        raise UserError(
            "--protocol pranet is for plain folders of maps or masks, not for packages of a "
            f"round: {', '.join(packages)}"
        )
    names = _told_apart((name, folder) for folder, name, _ in found)
    folders = [(folder, name) for name, (folder, *_) in zip(names, found, strict=True)]
    scores = score_map_folders(
        Workspace(settings.workspace),
        folders,
        truth,
        classes=settings.classes,
        out=out,
        overwrite=overwrite,
    )
    if scores:
        rows = pd.concat(
            [score.by_set().assign(model=name, title=name) for name, score in scores],
            ignore_index=True,
        )
        metadata = {"protocol": "pranet", "truth_sha256": scores[0][1].truth_sha256}
        show_views(pranet_views(rows, format_), format_, metadata)
    return len(scores)


def _find(
    paths: tuple[Path, ...], rounds: list[Round], *, may_be_plain: bool
) -> list[tuple[Path, str, bool]]:
    """Each package with its name, and whether it is a plain folder; what else lies there is named.

    Raises:
        UserError: A folder holds neither packages nor masks.
    """
    from harness.data.listing import folders_in
    from submissions.plain_folders import find_masks
    from submissions.reading.find_packages import find_packages

    packages: list[tuple[Path, str, bool]] = []
    for path in paths:
        try:
            found = find_packages(path, rounds)
        except UserError:
            folders = [path, *folders_in(path)] if may_be_plain else []
            plain = [folder for folder in folders if find_masks(folder).sets]
            if not plain:
                raise
            plain = [path] if path in plain else plain
            packages += [(folder, folder.resolve().name, True) for folder in plain]
            continue
        packages += [(package, name, False) for package, name in found.packages]
        if found.others:
            console.note(f"{path}: no packages, passed over: {', '.join(found.others)}")
    return packages


def _show(
    scores: list[tuple[str, PackageScore]], average: Average, format_: Format, protocol: Protocol
) -> None:
    from harness.report.views.scores import scores_view

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
        title = f"Generalisation from test set to test set ({protocol} protocol)"
        view = detail.generalisation_view(frames, "test_set", title=title, formulas=protocol)
    else:
        view = detail.by_test_set(frames, kind)
    view.show(format_, {"protocol": protocol, "truth_sha256": scores[0][1].truth_sha256})
