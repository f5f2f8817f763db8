"""The ledger: which packages were submitted and what they scored, and the daily limit.

A submission is entered in one short transaction that also gives the package its final name:

1. the package is written and flushed under a temporary name, and checked (``PackageWriter.seal``);
2. the transaction takes the register's one write lock; the round's day is taken from the clock, its
   submissions are counted, and the row is inserted;
3. the package is renamed; then the transaction commits.

So two processes can never both take the day's last submission. If the process is killed before the
rename, the transaction rolls back and only a partial file is left, which the next writer removes.
If it is killed between rename and commit, the package has its final name but no row: it does not
count against the limit, and :meth:`Ledger.not_entered` lists it.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from metrics.utils.errors import UserError
from metrics.utils.files import file_sha256
from metrics.utils.names import counted
from submissions.database import Register, frame, insert, stamp
from submissions.reading.find_packages import package_name
from submissions.rounds import Round
from submissions.writing.publish import SealedPackage

if TYPE_CHECKING:
    import pandas as pd

OVERALL: Final = "all"
"""The ``test_set`` of a score over all test sets."""


class LimitError(UserError):
    """The round's submissions of the day are used up."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A submission as it was entered.

    Attributes:
        number: Its number in the ledger.
        path: The package's final name.
        left: How many more may be submitted to the round that day.
    """

    number: int
    path: Path
    left: int


class Ledger:
    """The submissions and scores in a workspace's register.

    Safe to use from several processes at once. Its methods raise a ``UserError`` where the
    register cannot be read or written, see ``submissions.database``.
    """

    def __init__(self, workspace: Path) -> None:
        self._register = Register(workspace)

    def left(self, round_: Round, *, now: dt.datetime | None = None) -> int:
        """The number of submissions of a round that are left today."""
        with self._register.read() as connection:
            used = _used(connection, round_, _day(round_, now))
        return max(0, round_.daily_limit - used)

    def enter(
        self,
        round_: Round,
        package: SealedPackage,
        *,
        model: str,
        run: str = "",
        checkpoint_sha256: str = "",
        settings: Mapping[str, Any] | None = None,
        now: dt.datetime | None = None,
    ) -> Entry:
        """Enter a submission and give its package the final name: both or neither.

        ``package`` is a whole one, see ``PackageWriter.seal``; its round is the one whose limit
        holds.

        Returns:
            The entry. If another process took the package's name meanwhile, its ``path`` is the
            next free one.

        Raises:
            LimitError: The limit of the day is reached; nothing is entered or renamed.
            UserError: The package cannot be renamed; nothing is entered.
        """
        with self._register.write() as connection:
            moment = now or dt.datetime.now(dt.UTC)
            day = _day(round_, moment)
            used = _used(connection, round_, day)
            if used >= round_.daily_limit:
                raise LimitError(
                    f"round {round_.name} takes {counted(round_.daily_limit, 'submission')} a day, "
                    f"and those of {day} are used up. The next day begins at midnight, "
                    f"{round_.time_zone} time; nothing was entered."
                )
            package = package.with_free_name()
            row = {
                "package": str(package.path),
                "package_sha256": package.sha256,
                "frames": package.manifest["frames"],
                "latency_ms": package.manifest["latency_ms"],
                "round": round_.name,
                "day": day.isoformat(),
                "created": stamp(moment),
                "model": model,
                "run": run,
                "checkpoint_sha256": checkpoint_sha256,
                "settings": dict(settings or {}),
            }
            number = insert(connection, "submissions", row)
            package.publish()
        return Entry(number=number, path=package.path, left=round_.daily_limit - used - 1)

    def not_entered(self, folder: Path) -> list[Path]:
        """Packages in a folder that have no row in the ledger.

        A process that is killed between renaming a package and entering it leaves one.
        """
        # Listed first: a package that another process enters meanwhile is not among them.
        packages = [path for path in sorted(folder.glob("*.zip")) if path.is_file()]
        with self._register.read() as connection:
            rows = connection.execute("SELECT package, package_sha256 FROM submissions").fetchall()
        entered = {(Path(package).name, sha256) for package, sha256 in rows}
        return [path for path in packages if (path.name, file_sha256(path)) not in entered]

    def enter_scores(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Enter the scores of one package, one row a test set and one overall.

        Args:
            rows: See ``scoring.score_rows``. A score of the same package, round, protocol, truth
                and test set is replaced. Team, model and round are taken from the submission of
                the same package where they are empty.
        """
        with self._register.write() as connection:
            known = connection.execute(
                "SELECT number, model, round FROM submissions WHERE package_sha256 = ?"
                " ORDER BY round = ? DESC, number DESC LIMIT 1",  # the same bytes may be of several
                [rows[0]["package_sha256"], rows[0].get("round")],
            ).fetchone()
            number, model, round_name = known or (None, "", "")
            for row in rows:
                values = dict(row) | {
                    "submission": number,
                    "model": row.get("model") or model or package_name(Path(row["package"])),
                    "round": row.get("round") or round_name,
                    "created": stamp(),
                }
                insert(connection, "scores", values, replace=True)

    def submissions(self, round_name: str | None = None) -> pd.DataFrame:
        """Every submission, of one round if it is named, newest first, with its official score.

        ``score`` is the round's, the mean over its test sets; ``score_frames`` is over all frames.
        """
        newest = (
            "SELECT *, row_number() OVER (PARTITION BY package_sha256, round ORDER BY created DESC,"
            " number DESC) AS place FROM scores WHERE test_set = ? AND protocol = 'official'"
        )
        query = (
            "SELECT s.*, c.score_sets AS score, c.score AS score_frames FROM submissions AS s"
            f" LEFT JOIN ({newest}) AS c ON c.place = 1"
            " AND c.package_sha256 = s.package_sha256 AND c.round = s.round"
        )
        return self._frame(query, [OVERALL], {"s.round": round_name}, "s.number DESC")

    def scores(
        self,
        round_name: str | None = None,
        *,
        protocol: str | None = None,
        test_set: str | None = OVERALL,
        package_sha256: str | None = None,
    ) -> pd.DataFrame:
        """Every score of a round, protocol, test set and package, newest first; ``None``: of any.

        A score over all test sets, the default, is over all frames, and as ``score_sets`` over the
        sets; see ``leaderboard.averaged``.
        """
        chosen = {
            "round": round_name,
            "protocol": protocol,
            "test_set": test_set,
            "package_sha256": package_sha256,
        }
        return self._frame("SELECT * FROM scores", [], chosen, "created DESC, number DESC")

    def scored(self) -> str:
        """Which rounds have scores by which protocol, to end a message; empty where none has."""
        keys = ["round", "protocol"]
        pairs = self.scores()[keys].drop_duplicates().sort_values(keys).to_numpy().tolist()
        named = [f"{f'round {name}' if name else 'no round'} ({by})" for name, by in pairs]
        return f"; scored so far: {', '.join(named)}" if named else ""

    def submitted_before(self, sha256: str, *, package: Path | None = None) -> list[str]:
        """The submissions of these very bytes, described for a person, oldest first."""
        query = "SELECT * FROM submissions WHERE package_sha256 = ? ORDER BY number"
        with self._register.read() as connection:
            rows = connection.execute(query, [sha256]).fetchall()
        own = package and package.resolve()
        return [
            f"submission {row['number']} (round {row['round']}, {row['day']})"
            for row in rows
            if Path(row["package"]).resolve() != own
        ]

    def _frame(
        self, query: str, values: list[Any], chosen: Mapping[str, str | None], order: str
    ) -> pd.DataFrame:
        wanted = {column: value for column, value in chosen.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in wanted)
        query += f" WHERE {where}" if where else ""
        with self._register.read() as connection:
            return frame(connection, f"{query} ORDER BY {order}", [*values, *wanted.values()])


def _day(round_: Round, now: dt.datetime | None) -> dt.date:
    moment = now or dt.datetime.now(dt.UTC)
    return moment.astimezone(ZoneInfo(round_.time_zone)).date()


def _used(connection: sqlite3.Connection, round_: Round, day: dt.date) -> int:
    query = "SELECT count(*) FROM submissions WHERE round = ? AND day = ?"
    (used,) = connection.execute(query, [round_.name, day.isoformat()]).fetchone()
    return int(used)
