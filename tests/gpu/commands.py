"""``harness`` commands in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.gpu.report import ROOT
from tests.gpu.scale import DRY, SCALE, elapsed

HARNESS: Final = ("-m", "harness")
TORCHRUN: Final = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1")
_POLL_S: Final = 0.05


class Command:
    """A command under way, its output in files.

    Args:
        folder: Its current folder, made when missing.
        arguments: What follows the launcher.
        launcher: What follows the name of Python.
        answered: Whether it reads what :meth:`answer` sends; else its input is empty.
        variables: Of its environment, beside those of this process.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        launcher: Sequence[str | Path] = HARNESS,
        answered: bool = False,
        **variables: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = [folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        self.started = time.monotonic()
        with self._files[0].open("w") as out, self._files[1].open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, *launcher, *arguments],
                stdin=subprocess.PIPE if answered else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=_environment() | variables,
                start_new_session=True,
            )

    @property
    def printed(self) -> Path:
        """The file with its standard output."""
        return self._files[0]

    @property
    def said(self) -> str:
        """What it has written so far, its messages last."""
        return "".join(file.read_text(errors="replace") for file in self._files)

    def line(self, number: int, seconds: float = SCALE.patience_s) -> dict[str, Any]:
        """Wait for a line of its JSON, counted from 1."""
        last = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            whole = self.printed.read_text(errors="replace").split("\n")[:-1]
            lines = [line for line in whole if line.startswith("{")]
            if len(lines) >= number:
                found: dict[str, Any] = json.loads(lines[number - 1])
                return found
            assert not ended, f"ended before:\n{self.said[-2000:]}"
            if time.monotonic() > last or elapsed() > SCALE.end_s:
                self.kill()
                raise AssertionError(f"line {number} did not come:\n{self.said[-2000:]}")
            time.sleep(_POLL_S)

    def answer(self) -> None:
        """Send an empty line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def signal_at(self, text: str, number: int) -> None:
        """Send a signal once the command says something, while others are waited for."""

        def watch() -> None:
            while self.process.poll() is None:
                if text in self.said:
                    self.process.send_signal(number)
                    return
                time.sleep(_POLL_S)

        threading.Thread(target=watch, daemon=True).start()

    def end(self, seconds: float = SCALE.patience_s) -> int:
        """Wait for its end, but not beyond that of all checks; its exit status."""
        seconds = max(1.0, min(seconds, SCALE.end_s - elapsed()))
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not done after {seconds:.0f} s:\n{self.said[-2000:]}") from None

    def succeed(self, seconds: float = SCALE.patience_s) -> float:
        """Wait for its end, which must be a good one; the seconds that it took."""
        status = self.end(seconds)
        assert status == 0, f"exit status {status}:\n{self.said[-2000:]}"
        return time.monotonic() - self.started

    def kill(self) -> None:
        """End it and what it started, at once."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _environment() -> dict[str, str]:
    """This process's, with the repository importable and as many threads as a user's."""
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    if not DRY:
        environment.pop("OMP_NUM_THREADS", None)
    return environment
