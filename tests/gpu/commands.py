"""``harness`` commands in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.gpu.report import ROOT
from tests.gpu.scale import DRY, SCALE

HARNESS: Final = ("-m", "harness")
TORCHRUN: Final = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1")
_POLL_S: Final = 0.05


class Command:
    """A command under way, its output in files.

    Args:
        folder: Its current folder, made when missing.
        arguments: What follows the launcher.
        launcher: What follows the name of Python.
        variables: Of its environment, beside those of this process.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        launcher: Sequence[str | Path] = HARNESS,
        **variables: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = [folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        self.started = time.monotonic()
        with self._files[0].open("w") as out, self._files[1].open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, *launcher, *arguments],
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
        """Wait for its end; its exit status."""
        try:
            return self.process.wait(max(1.0, seconds))
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
