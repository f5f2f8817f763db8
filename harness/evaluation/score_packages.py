"""Score packages and plain folders: enter the scores, write the result files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.config.settings import Settings
from harness.runs.workspace import Workspace
from harness.utils import console
from harness.utils.folders import replace_folder
from harness.utils.outputs import Outputs
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError
from metrics.utils.files import write_json
from metrics.utils.text import csv
from submissions.digest import package_sha256
from submissions.layout import PackageLayout
from submissions.ledger import Ledger
from submissions.plain import score_folder
from submissions.rounds import Round
from submissions.scoring import PackageScore, score_package, score_rows
from submissions.truth import Truth, TruthError, find_truth


class ScoringJob:
    """What the packages of one call share; the truth of each round is read once.

    ``round_name`` is ``None`` for the round that each package was submitted to, ``out`` for the
    workspace's folder. ``team`` names packages that were not submitted here, in place of the file.
    With ``overwrite``, files in ``out`` that the harness did not write may be replaced.
    ``threshold`` is as for ``submissions.scoring.score_package``.
    """

    def __init__(
        self,
        settings: Settings,
        rounds: dict[str, Round],
        truth_folder: Path,
        round_name: str | None,
        out: Path | None,
        *,
        protocol: Protocol,
        hausdorff: bool,
        team: str | None = None,
        overwrite: bool = False,
        threshold: float | None = None,
    ) -> None:
        self.workspace = Workspace(settings.workspace)
        self.registers = self._check_register(out)
        self.ledger = Ledger(settings.workspace)
        self.rounds, self.truth_folder = rounds, truth_folder
        self.round_name, self.out, self.overwrite = round_name, out, overwrite
        self.protocol, self.hausdorff, self.team = protocol, hausdorff, team
        self.threshold = threshold
        self.submitted = self.ledger.submissions().drop_duplicates("package_sha256")
        self.truths: dict[str, Truth] = {}
        self.classes = settings.classes

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

    def score_all(self, found: Sequence[tuple[Path, str, bool]]) -> list[tuple[str, PackageScore]]:
        """Score all packages; one that cannot be scored is named, and the rest are scored.

        Args:
            found: Each package, the name it is shown under, and whether it is a plain folder.

        Raises:
            UserError: If the only package cannot be scored, or the truth cannot be used.
        """
        scores = []
        for package, name, is_plain in console.track(found, "Scoring") if len(found) > 1 else found:
            try:
                scores.append((self.score_plain if is_plain else self.score)(package, name))
            except UserError as error:
                if len(found) == 1 or isinstance(error, TruthError):
                    raise
                console.fail(error.format_message())
        return scores

    def score(self, package: Path, shown: str) -> tuple[str, PackageScore]:
        """Score one package, write its files and enter it; with the name it is shown under."""
        known = self.submitted[self.submitted["package_sha256"] == package_sha256(package)]
        own = known.iloc[0] if len(known) else None
        name = self.round_name or (str(own["round"]) if own is not None else "")
        round_ = self.rounds.get(name)
        score = score_package(
            package,
            self._truth(round_),
            self.protocol,
            layout=round_.layout if round_ else PackageLayout(),
            hausdorff=self.hausdorff,
            threshold=self.threshold,
        )
        team = self.team or ("" if own is not None else shown)
        self._note_same_bytes(package, score, team)
        # The files first: a row in the register says that its files are there.
        self._write(score)
        if self.registers:
            self.ledger.enter_scores(score_rows(score, round_name=name, team=team))
        if not name and self.registers:
            console.note(f"{package.name}: entered without a round; give --round to rank it in one")
        return team or str(own["model"] if own is not None else shown), score

    def score_plain(self, folder: Path, shown: str) -> tuple[str, PackageScore]:
        """Score a plain folder of masks and write its files; it is entered nowhere."""
        score = score_folder(
            folder,
            self.truth_folder,
            self.protocol,
            hausdorff=self.hausdorff,
            threshold=self.threshold,
            classes=self.classes,
        )
        self._write(score)
        console.note(f"{folder}: a plain folder, which is not entered in the register")
        return self.team or shown, score

    def _note_same_bytes(self, package: Path, score: PackageScore, team: str) -> None:
        """Say where another team handed in the very same package."""
        rows = self.ledger.scores()
        others = set(rows.loc[rows["package_sha256"] == score.package_sha256, "team"]) - {team, ""}
        if others:
            console.warn(f"{package.name}: the same bytes as the package of {', '.join(others)}")

    def _truth(self, round_: Round | None) -> Truth:
        key = round_.name if round_ else ""
        if key not in self.truths:
            test_sets, layout = (round_.test_sets, round_.layout) if round_ else (None, None)
            self.truths[key] = find_truth(
                self.truth_folder, test_sets, layout, self.protocol, self.classes
            )
        return self.truths[key]

    def _write(self, score: PackageScore) -> None:
        """Write a score's files.

        Raises:
            FaultsError: Files of --out would be replaced that the harness did not write.
        """
        for note in score.notes:
            console.note(f"{score.package.name}: {note}")
        folder = self.workspace.score_folder(
            score.package, score.package_sha256, score.protocol, top=self.out
        )
        outputs, table = Outputs(folder), "frames.csv"
        if self.out is not None:
            names = [*(f"{test_set}.json" for test_set in score.organisers), table]
            outputs.check(names, overwrite=self.overwrite)
        with outputs.staged(last=table) if self.out is not None else replace_folder(folder) as new:
            for test_set, result in score.organisers.items():
                write_json(new / f"{test_set}.json", result)
            (new / table).write_text(csv(score.frames), encoding="utf-8")
        console.note(f"{score.package.name}: result files in {folder}")
