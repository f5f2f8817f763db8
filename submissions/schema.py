"""The tables of the register, by version of the schema."""

from __future__ import annotations

from typing import Final

_AVERAGED: Final = ("score", "iou", "f1", "f2", "ppv", "recall")

# Registers made before there were versions have user_version 0 and some or all of the tables of
# version 1, with the same columns. They kept a version of two of the tables in schema_versions.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE IF NOT EXISTS runs (
            run TEXT PRIMARY KEY,
            model TEXT NOT NULL,
            status TEXT NOT NULL,
            created TEXT NOT NULL,
            finished TEXT,
            epochs INTEGER NOT NULL DEFAULT 0,
            best_epoch INTEGER,
            best_iou REAL,
            best_f1 REAL,
            parameters INTEGER,
            seed INTEGER,
            settings TEXT NOT NULL,
            versions TEXT NOT NULL,
            data TEXT,
            checkpoint TEXT,
            members TEXT NOT NULL DEFAULT '{}'
        )""",
        """CREATE TABLE IF NOT EXISTS evaluations (
            run TEXT NOT NULL,
            model TEXT NOT NULL,
            split TEXT NOT NULL,
            protocol TEXT NOT NULL,
            created TEXT NOT NULL,
            frames INTEGER NOT NULL,
            score REAL,
            checkpoint TEXT,
            data TEXT,
            settings TEXT NOT NULL,
            summary TEXT NOT NULL,
            PRIMARY KEY (run, split, protocol)
        )""",
        """CREATE TABLE IF NOT EXISTS submissions (
            number INTEGER PRIMARY KEY,
            round TEXT NOT NULL,
            day TEXT NOT NULL,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            run TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            checkpoint_sha256 TEXT NOT NULL,
            frames INTEGER NOT NULL,
            latency_ms REAL,
            settings TEXT NOT NULL
        )""",
        "CREATE INDEX IF NOT EXISTS submissions_by_day ON submissions (round, day)",
        """CREATE TABLE IF NOT EXISTS scores (
            number INTEGER PRIMARY KEY,
            submission INTEGER REFERENCES submissions (number),
            round TEXT NOT NULL,
            team TEXT NOT NULL,
            model TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            protocol TEXT NOT NULL,
            truth_sha256 TEXT NOT NULL,
            test_set TEXT NOT NULL,
            created TEXT NOT NULL,
            n INTEGER NOT NULL,
            score REAL,
            sd_frames REAL,
            sd_metrics REAL,
            sd_sets REAL,
            iou REAL,
            f1 REAL,
            f2 REAL,
            ppv REAL,
            recall REAL,
            latency_ms REAL,
            settings TEXT NOT NULL,
            UNIQUE (package_sha256, round, team, protocol, truth_sha256, test_set)
        )""",
        "DROP TABLE IF EXISTS schema_versions",
    ),
    # A score over all test sets has two averages: its columns of version 1 are over all frames,
    # NAME_sets over the sets. They follow from the rows of the sets, where each of these has one.
    tuple(f"ALTER TABLE scores ADD COLUMN {name}_sets REAL" for name in _AVERAGED)
    + tuple(
        f"""UPDATE scores SET {name}_sets = (
            SELECT CASE WHEN count(*) = count(one.{name}) AND sum(one.n) = scores.n
            THEN avg(one.{name}) END
            FROM scores AS one WHERE one.test_set <> 'all'
            AND one.package_sha256 = scores.package_sha256 AND one.round = scores.round
            AND one.team = scores.team AND one.protocol = scores.protocol
            AND one.truth_sha256 = scores.truth_sha256
        ) WHERE test_set = 'all'"""
        for name in _AVERAGED
    ),
    # Where the encoder's first weights came from (models.origin), as JSON; empty where unknown.
    ("ALTER TABLE runs ADD COLUMN encoder_weights TEXT NOT NULL DEFAULT '{}'",),
)
"""The statements of each version: new versions are added, old ones never changed."""
