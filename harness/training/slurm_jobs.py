"""The SLURM launcher: each job on a node of a cluster, all of them submitted as one array.

submitit writes the batch script, pickles the jobs and requeues those that reach their time limit. A
job writes in its run's folder alone; there the process that submitted it reads how far it is. That
process may end before the jobs: ``harness runs sync`` and ``train --resume`` read the same folders.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from harness.runs.run import Run
from harness.runs.workspace import now
from harness.training.history import HISTORY, Epoch, read_history
from harness.training.job import Job, WorkerCallbacks
from harness.training.slurm_node import PROGRESS, SlurmTraining, squeue
from harness.utils import console
from harness.utils.signals import StoppedWaiting, StopRequest
from metrics.utils.errors import UserError
from metrics.utils.files import read_mapping, write_json

TICKET: Final = "slurm.json"
"""In a run's folder: the number of its SLURM job, and the file of what that prints."""

TIME_MIN: Final = 4 * 60
"""Time limit where none is given, in minutes: short enough for most partitions."""

_TIMEOUTS: Final = 10_000  # a job is requeued until its network is trained
_POLL_S: Final = 2.0
_SQUEUE_S: Final = 10.0
_UNANSWERED: Final = 6
_GONE: Final = 2
"""How often in a row a job is missing from the queue before it counts as ended: its last files may
appear later on this machine than on its node."""

# Nothing is imported from the current folder: users have folders called 'models' and 'metrics'.
_SETUP: Final = "export PYTHONSAFEPATH=1"
_OURS: Final = frozenset(
    {"array", "array_parallelism", "nodes", "ntasks", "ntasks_per_node", "signal", "output"}
    | {"error", "open_mode", "command", "folder", "map_count", "additional_parameters"}
    | {"srun_args", "use_srun", "stderr_to_stdout"}
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What is asked of SLURM for each network."""

    device: str  # the name of a device of its node
    parameters: Mapping[str, Any]  # of submitit's executor
    at_once: int | None = None  # networks; None for as many as the cluster has room for


def parse(pairs: Sequence[str]) -> dict[str, Any]:
    """Options of sbatch, ``KEY=VALUE`` or ``KEY``, as parameters of submitit's executor.

    Raises:
        UserError: If submitit is missing, or an option is one that is set already.
    """
    from inspect import signature

    _submitit()
    from submitit.slurm.slurm import _make_sbatch_string

    known = signature(_make_sbatch_string).parameters
    found: dict[str, Any] = {"job_name": "harness", "time": TIME_MIN, "setup": [_SETUP]}
    further: dict[str, Any] = {"requeue": True}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        key = name.lstrip("-").replace("-", "_")
        if not key or key in _OURS:
            raise UserError(
                f"--slurm {pair}: expected KEY=VALUE, an option of sbatch such as partition=gpu, "
                "time=24:00:00, gpus-per-node=1 or mem=32G. Each network is one task, its output "
                "is in workspace/slurm, and --jobs says how many run at a time."
            )
        if key == "setup":
            found["setup"].append(value)
        elif key == "time":
            found["time"] = minutes(value)
        elif key in known:
            found[key] = int(value) if value.isdecimal() else (value if equals else True)
        else:
            further[key] = value if equals else True
    return {**found, "additional_parameters": further}


def minutes(limit: str) -> int:
    """Minutes of a time limit in any of sbatch's formats, ``D-HH:MM:SS``, rounded up.

    Raises:
        UserError: If it has none of these.
    """
    days, dash, rest = limit.rpartition("-")
    parts = rest.split(":")
    if len(parts) > 3 or not all(part.isdecimal() for part in [*parts, days if dash else "0"]):
        raise UserError(
            f"--slurm time={limit}: expected minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS"
        )
    # After days the first part is hours; without them two parts are minutes and seconds.
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    seconds = sum(int(part) * unit for part, unit in zip(parts, units, strict=False))
    return math.ceil((int(days or 0) * 86_400 + seconds) / 60)


def train_all(jobs: Sequence[Job], cluster: Cluster, folder: Path, told: WorkerCallbacks) -> int:
    """Submit jobs to SLURM, but for those that wait or run already, and wait for all of them.

    ``folder`` is where submitit keeps what it pickles and what the jobs print.

    Returns:
        int: The signal that ended the waiting, SIGINT or SIGTERM, while the jobs go on; else 0.

    Raises:
        UserError: If submitit or SLURM are missing, or SLURM refuses the jobs.
    """
    with StopRequest() as stop:
        here = still_queued(job.run for job in jobs)
        _submit([job for job in jobs if job.run.run not in here], cluster, folder)
        waiting = [_Waiting.of(job.run) for job in jobs]
        asked, unanswered = -_SQUEUE_S, 0
        while waiting and not stop.number:
            queue = None
            if time.monotonic() - asked > _SQUEUE_S:
                queue, asked = queued(), time.monotonic()
                unanswered = 0 if queue is not None else unanswered + 1
                if unanswered == _UNANSWERED:
                    console.warn("SLURM does not answer (squeue fails). Ctrl-C ends the waiting.")
            waiting = [one for one in waiting if one.goes_on(queue, told)]
            try:
                with stop.at_once():
                    time.sleep(_POLL_S if waiting else 0)
            except StoppedWaiting:
                break
        return stop.number


def still_queued(runs: Iterable[Run]) -> dict[str, str]:
    """The SLURM jobs of runs, by run, that wait or run now."""
    tickets = {run.run: read_mapping(run.folder / TICKET).get("job") for run in runs}
    if not any(tickets.values()) or not shutil.which("squeue"):
        return {}
    found = queued() or set()
    return {run: job for run, job in tickets.items() if job in found}


def queued() -> set[str] | None:
    """The user's SLURM jobs that wait or run; ``None`` where SLURM cannot be asked just now.

    ``squeue`` is asked, not ``sacct`` as by submitit: many clusters keep no accounts.
    """
    answer = squeue("--me", "--noheader", "--array", "--format=%i")
    return None if answer is None else set(answer.split())


@dataclass
class _Waiting:
    """A run whose job is waited for, the epochs that were passed on, and what its job is."""

    run: Run
    ticket: Mapping[str, Any]
    epochs: int
    begun: bool = False
    missed: int = 0

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls(run, read_mapping(run.folder / TICKET), int(run.row["epochs"] or 0))

    def goes_on(self, queue: set[str] | None, told: WorkerCallbacks) -> bool:
        """Pass on what its folder says; false once it has ended.

        ``queue`` has the jobs that wait or run; it is ``None`` where SLURM was not asked.
        """
        if not self.run.folder.is_dir():  # 'runs rm' removed it
            return False
        job = self.ticket["job"]
        said = read_mapping(self.run.folder / PROGRESS)
        if said.get("job") != job:  # of an earlier job, or none yet
            said = {}
        try:
            current, history = self.run.reread(), read_history(self.run.folder / HISTORY)
        except (OSError, UserError):  # a file that is being replaced, on a network file system
            return True
        if said:
            self._pass_on(said, history, told)
        if queue is not None:
            self.missed = 0 if job in queue else self.missed + 1
        if current.status != "finished" and self.missed < _GONE:
            return True
        fault = said.get("fault") or f"its SLURM job {job} ended: see {self.ticket['log']}"
        told.ended(current, "" if current.status == "finished" else fault)
        return False

    def _pass_on(
        self, said: Mapping[str, Any], history: Sequence[Epoch], told: WorkerCallbacks
    ) -> None:
        if not self.begun:
            told.begun(self.run, str(said["host"]))
            self.begun = True
        for epoch in history[self.epochs :]:
            told.epoch(self.run, epoch)
        self.epochs = len(history)
        if said.get("steps"):
            told.step(self.run, int(said["step"]), int(said["steps"]))


def _submit(jobs: Sequence[Job], cluster: Cluster, folder: Path) -> None:
    if not jobs:
        return
    submitit = _submitit()
    try:
        files = folder / f"{now():%Y%m%d-%H%M%S}"
        executor = submitit.SlurmExecutor(files, max_num_timeout=_TIMEOUTS)
        at_once = cluster.at_once or len(jobs)
        executor.update_parameters(array_parallelism=at_once, **cluster.parameters)
        with executor.batch():
            sent = [executor.submit(SlurmTraining(job=job, device=cluster.device)) for job in jobs]
    except RuntimeError as error:
        raise UserError(
            f"SLURM did not take the jobs: {error}. Options of sbatch are given as --slurm "
            "KEY=VALUE; nothing was begun, and 'harness train --resume' goes on from here."
        ) from error
    for job, ticket in zip(jobs, sent, strict=True):
        log = str(ticket.paths.stderr)
        write_json(job.run.folder / TICKET, {"job": ticket.job_id, "log": log})


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            "--launcher slurm needs submitit, which is not installed here. Install it with: "
            "pip install 'harness[slurm]'"
        ) from error
    return submitit
