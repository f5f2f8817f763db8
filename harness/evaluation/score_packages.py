"""Score packages and plain folders: enter the scores, write the result files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.settings import Settings
from harness.evaluation.score_processes import Scoring, Task, score_tasks
from harness.runs.workspace import Workspace
from harness.utils import console
from harness.utils.folders import replace_folder
from harness.utils.outputs import Outputs
from metrics.masks.read import Protocol
from metrics.utils.errors import FaultsError, UserError
from metrics.utils.files import write_json
from metrics.utils.names import counted
from metrics.utils.text import csv
from submissions.digest import package_sha256
from submissions.ledger import Ledger
from submissions.plain_folders import score_folder
from submissions.rounds import Round
from submissions.scoring import PackageScore, score_rows
from submissions.truth import Truth, TruthError


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What is known of a package before it is scored.

    Attributes:
        digest: Its SHA-256.
        own: Its submission; ``None`` where it was not submitted here.
        name: The name of its round; empty for none.
        round_: Its round; ``None`` for none.
    """

    digest: str
    own: Mapping[str, Any] | None
    name: str
    round_: Round | None


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
        self.rounds, self.round_name, self.team = rounds, round_name, team
        self.out, self.overwrite = out, overwrite
        self.scoring = Scoring(
            folder=truth_folder,
            protocol=protocol,
            hausdorff=hausdorff,
            classes=settings.classes,
            threshold=threshold,
        )
        self.submitted = self.ledger.submissions().drop_duplicates("package_sha256")
        self.refused = 0
        self.truths: dict[Round | None, Truth] = {}

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

    def score_all(
        self, found: Sequence[tuple[Path, str, bool]], *, jobs: int = 1, skip_scored: bool = False
    ) -> list[tuple[str, PackageScore]]:
        """Score all packages; one that cannot be scored is named, and the rest are scored.

        Args:
            found: Each package, the name it is shown under, and whether it is a plain folder.
            jobs: Packages scored at a time, each in a process of its own.
            skip_scored: Whether packages are passed over that were scored before, alike in all.

        Raises:
            UserError: If the only package cannot be scored, or the truth cannot be used.
        """
        wanted = [item for item in found if not (skip_scored and self._is_scored(item))]
        if len(wanted) < len(found):
            before = counted(len(found) - len(wanted), "package was", "packages were")
            console.note(f"{before} scored before: passed over")
        if jobs > 1 and any(is_plain for *_, is_plain in wanted):
            console.note("--jobs is for packages; with plain folders, one is scored after another")
        elif jobs > 1 and len(wanted) > 1:
            return self._score_side_by_side(wanted, jobs)
        scores = []
        several = len(wanted) > 1
        for package, name, is_plain in console.track(wanted, "Scoring") if several else wanted:
            try:
                scores.append((self.score_plain if is_plain else self.score)(package, name))
            except UserError as error:
                if len(found) == 1 or isinstance(error, TruthError):
                    raise
                self._refuse(error.format_message())
        return scores

    def _refuse(self, message: str) -> None:
        self.refused += 1
        console.fail(message)

    def _score_side_by_side(
        self, wanted: Sequence[tuple[Path, str, bool]], jobs: int
    ) -> list[tuple[str, PackageScore]]:
        """As ``score_all``. Each is entered as soon as it is scored, so nothing done is lost."""
        known = []
        for package, shown, _ in wanted:
            try:
                known.append((package, shown, self._entry(package)))
            except UserError as error:
                self._refuse(error.format_message())
        tasks = [Task(package, entry.round_, self.scoring) for package, _, entry in known]
        for round_ in {entry.round_ for *_, entry in known}:
            self._truth(round_)  # a fault of the truth is none of a package
        scores: dict[int, tuple[str, PackageScore]] = {}
        outcomes = score_tasks(tasks, jobs)
        for position, outcome in console.track(outcomes, "Scoring", total=len(tasks)):
            if isinstance(outcome, str):
                self._refuse(outcome)
                continue
            try:
                scores[position] = self._keep(*known[position][1:], outcome)
            except UserError as error:
                self._refuse(error.format_message())
        return [scores[position] for position in sorted(scores)]

    def _entry(self, package: Path) -> _Entry:
        """The round of a package, and its submission where it was submitted here."""
        digest = package_sha256(package)
        known = self.submitted[self.submitted["package_sha256"] == digest]
        own = {str(k): v for k, v in known.iloc[0].items()} if len(known) else None
        name = self.round_name or (str(own["round"]) if own is not None else "")
        return _Entry(digest=digest, own=own, name=name, round_=self.rounds.get(name))

    def _is_scored(self, item: tuple[Path, str, bool]) -> bool:
        package, shown, is_plain = item
        if is_plain or not self.registers:
            return False
        try:
            entry = self._entry(package)
        except UserError:
            return False  # said where it is to be scored
        protocol = self.scoring.protocol
        alike = self.ledger.scores(entry.name, protocol=protocol, package_sha256=entry.digest)
        alike = alike[alike["team"] == self._team(shown, entry)]
        folder = self.workspace.score_folder(package, entry.digest, protocol, top=self.out)
        threshold = self.scoring.threshold_in(entry.round_)
        wanted = self._truth(entry.round_).sha256, threshold
        # Only the newest score's frame table is kept.
        newest = alike.head(1)[["truth_sha256", "settings"]].to_numpy().tolist()
        there = [(truth, json.loads(how or "{}").get("threshold")) for truth, how in newest]
        return there == [wanted] and (folder / "frames.csv").is_file()

    def score(self, package: Path, shown: str) -> tuple[str, PackageScore]:
        """Score one package, write its files and enter it; with the name it is shown under."""
        entry = self._entry(package)
        score = self.scoring.score(package, entry.round_, self._truth(entry.round_))
        return self._keep(shown, entry, score)

    def _keep(self, shown: str, entry: _Entry, score: PackageScore) -> tuple[str, PackageScore]:
        team = self._team(shown, entry)
        self._note_same_bytes(shown, score, team)
        # The files first: a row in the register says that its files are there.
        self._write(score, shown)
        if self.registers:
            self.ledger.enter_scores(score_rows(score, round_name=entry.name, team=team))
        if not entry.name and self.registers:
            console.note(f"{shown}: entered without a round; give --round to rank it in one")
        return self.team or str(entry.own["model"] if entry.own is not None else shown), score

    def _team(self, shown: str, entry: _Entry) -> str:
        """A package's team, empty for our own: of 'red/final', in a folder of teams, red."""
        return self.team or ("" if entry.own is not None else shown.partition("/")[0])

    def score_plain(self, folder: Path, shown: str) -> tuple[str, PackageScore]:
        """Score a plain folder of masks and write its files; it is entered nowhere."""
        how = self.scoring
        try:
            score = score_folder(
                folder,
                how.folder,
                how.protocol,
                hausdorff=how.hausdorff,
                threshold=how.threshold,
                classes=how.classes,
            )
        except TruthError:
            raise
        except FaultsError as error:
            raise FaultsError(
                error.faults,
                f"{folder}: cannot be scored as a plain folder of masks; an unpacked package of a "
                "round takes --round NAME",
            ) from error
        self._write(score, shown)
        console.note(f"{folder}: a plain folder, which is not entered in the register")
        return self.team or shown, score

    def _note_same_bytes(self, shown: str, score: PackageScore, team: str) -> None:
        """Say where another team handed in the very same package."""
        rows = self.ledger.scores(package_sha256=score.package_sha256)
        others = set(rows["team"]) - {team, ""}
        if others:
            console.warn(f"{shown}: the same bytes as the package of {', '.join(others)}")

    def _truth(self, round_: Round | None) -> Truth:
        if round_ not in self.truths:
            self.truths[round_] = self.scoring.truth(round_)
        return self.truths[round_]

    def _write(self, score: PackageScore, shown: str) -> None:
        """Write a score's files.

        Raises:
            FaultsError: Files of --out would be replaced that the harness did not write.
        """
        for note in score.notes:
            console.note(f"{shown}: {note}")
        folder = self.workspace.score_folder(
            score.package, score.package_sha256, score.protocol, top=self.out
        )
        outputs, table = Outputs(folder), "frames.csv"
        if self.out is not None:
            names = [*(f"{test_set}.json" for test_set in score.organisers), table]
            outputs.check(names, overwrite=self.overwrite)
        # Two calls may score one package at a time: a moment later its folder is free again.
        replaced = replace_folder(folder, wait=True)
        with outputs.staged(last=table) if self.out is not None else replaced as new:
            for test_set, result in score.organisers.items():
                write_json(new / f"{test_set}.json", result)
            (new / table).write_text(csv(score.frames), encoding="utf-8")
        console.note(f"{shown}: result files in {folder}")
