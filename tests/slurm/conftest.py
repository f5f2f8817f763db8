"""One cluster for all tests of this folder; they are skipped where SLURM is not installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """The environment of a cluster's commands."""
    if reason := cluster.missing():
        pytest.skip(reason)
    # A socket's path may have 107 bytes, which pytest's folders with the tests' names exceed.
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster.started(Path(folder, "slurm")) as environment,
    ):
        yield environment
