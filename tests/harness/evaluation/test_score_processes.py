"""Packages scored by several processes, one of which is killed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil

from harness.evaluation.score_processes import Scoring, Task, score_tasks
from submissions.scoring import score_package
from submissions.writing.package import PackageWriter

SET = "EndoCV_DATA1"

POOL = """
import os, signal, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from harness.evaluation.score_processes import end_with_caller
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_caller)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_costs_no_score(tmp_path: Path) -> None:
    (tmp_path / "truth" / SET).mkdir(parents=True)
    for n in range(4):
        mask = np.zeros((30, 40), np.uint8)
        mask[5:20, 5 : 20 + n] = 255
        cv2.imwrite(str(tmp_path / "truth" / SET / f"f{n}_mask.png"), mask)
    packages = [tmp_path / f"team{n}.zip" for n in range(5)]
    for shift, path in enumerate(packages[:-1]):
        with PackageWriter(path) as writer:
            for n in range(4):
                mask = np.zeros((30, 40), bool)
                mask[5 + shift : 20, 5:20] = True
                writer.add(test_set=SET, name=f"f{n}", mask=mask, latency_ms=1.0)
    packages[-1].write_bytes(b"no zip")
    scoring = Scoring(folder=tmp_path / "truth", protocol="official", hausdorff=False)
    tasks = [Task(path, None, scoring) for path in packages]
    outcomes = score_tasks(tasks, 2)
    found = dict([next(outcomes)])
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    found |= dict(outcomes)
    assert sorted(found) == [0, 1, 2, 3, 4]
    for position, path in enumerate(packages[:-1]):
        scored = found[position]
        assert not isinstance(scored, str)
        expected = score_package(path, tmp_path / "truth", hausdorff=False)
        assert scored.figures.equals(expected.figures)
        assert scored.frames.equals(expected.frames)
    assert "cannot be scored" in str(found[4])


def test_processes_end_where_the_caller_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL, encoding="utf-8")
    command = [sys.executable, tmp_path / "pool.py"]
    killed = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(killed.stdout)).wait(timeout=30)
