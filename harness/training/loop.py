"""The training loop of one run: epochs, checkpoints, the state to resume from, run.json."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Final

import torch
from torch import Tensor

from harness.config.training import TrainConfig
from harness.data.loader import BatchLoader, end_workers, is_lost_worker
from harness.runs import checkpoints
from harness.runs.run import Run, Status, write_end, write_run_json
from harness.training.distributed import Agreement, is_lost_peer
from harness.training.history import HISTORY, Callbacks, Epoch, write_history
from harness.training.trainer import Trainer, Validation
from harness.utils import device as devices
from harness.utils.command_line import command_line
from harness.utils.signals import Interrupted, StoppedWaiting, StopRequest
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError

# Writing the whole state after every short epoch would cost more than the epochs; a run that is
# killed repeats at most about this many seconds of work, and reaches the same weights.
SAVE_EVERY_S: Final = 60.0


class TrainingLoop:
    """Trains one run, from its first step or from where it stopped.

    Everything is written in the run's folder. Of a process group only the main process's trainer is
    written, every ``save_every_s`` seconds or less often.
    """

    def __init__(
        self,
        run: Run,
        config: TrainConfig,
        *,
        trainer: Trainer,
        batches: BatchLoader,
        callbacks: Callbacks,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        self.run = run
        self.config = config
        self.trainer = trainer
        self.batches = batches
        self.callbacks = callbacks
        self.group = trainer.group
        self.epoch = 0
        self.step = 0
        self.losses: list[float] = []
        self.history: list[Epoch] = []
        self.save_every_s = save_every_s
        # torch's kernels for a CPU add up in another order with another number of threads, so a
        # resumed run keeps the number that it began with.
        self._threads = torch.get_num_threads()
        self._saved = time.monotonic()
        self._waited = 0.0
        self._agree = Agreement(self.group)
        if run.last.exists():
            self._restore(checkpoints.load_state(run.last))

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are kept."""
        return next((epoch for epoch in reversed(self.history) if epoch.best), None)

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the validation IoU did not improve for as many epochs as the recipe allows."""
        patience = self.config.patience
        return bool(patience and self.best and self.epoch - self.best.epoch >= patience)

    def __call__(self) -> None:
        """Train to the end.

        Raises:
            Interrupted: On a signal to stop, once everything is written.
            UserError: If the loss is no longer a number, or the data or the disk fail.
        """
        try:
            with StopRequest() as stop, devices.threads(self._threads):
                while self.epoch < self.config.epochs and not self.is_out_of_patience:
                    self._train_epoch(stop)
                self._save()  # 'train --resume RUN --epochs MORE' goes on from here
        except Interrupted as stopped:
            self._end("interrupted")
            raise self.group.only_main_reports(stopped) from None
        except BaseException as error:
            with suppress(UnwritableError):  # it stays 'running' then, and can be resumed like that
                self._end("failed" if isinstance(error, Exception) else "interrupted")
            if fault := self._explained(error):
                raise fault from error
            raise
        self._end("finished")

    def _end(self, status: Status) -> None:
        """Note how the run ended."""
        if self.group.is_main:
            write_end(self.run, status)

    def _explained(self, error: BaseException) -> BaseException | None:
        """An error as a message that says what to do about it; ``None`` where that is not known."""
        go_on = command_line(f"train --resume {self.run.run}")
        if isinstance(error, UnwritableError):
            return UserError(
                f"{error.message} Nothing is lost but what came after the last writing. Then go on "
                f"with: {go_on}"
            )
        if not isinstance(error, RuntimeError):
            return None
        if is_lost_worker(error):
            return UserError(
                f"a worker process that augments frames was lost: {str(error).splitlines()[0]} "
                "Shared memory or memory may have run out. Nothing is lost but what came after the "
                f"last writing. Go on with '{go_on} --workers 0', or give a container more "
                "shared memory: docker run --shm-size 2g."
            )
        config, device = self.config, self.trainer.device
        work = f"{config.model} at a batch of {config.batch_size} frames of {config.size} pixels"
        if devices.is_out_of_memory(error):
            return UserError(f"the memory of {device} does not hold {work}. {self._smaller()}")
        if devices.is_perhaps_out_of_memory(error):
            reason = str(error).splitlines()[0]
            return UserError(
                f"a library of {device} failed while training {work}: {reason}. Where the GPU's "
                "memory is full, this is how it may show; 'nvidia-smi' tells what else holds it. "
                f"{self._smaller()}"
            )
        if not self.group.is_single and is_lost_peer(error):
            fault = UserError(
                "another process of this training ended, cannot be reached, or kept the others "
                "waiting for 30 minutes; its own message says why. Go on with the same command "
                f"and 'train --resume {self.run.run}'."
            )
            return self.group.only_main_reports(fault)
        return None

    def _smaller(self) -> str:
        """Advice on what takes less memory."""
        half = self.config.batch_size // 2
        batch = f"--batch-size {half}, " if half > 1 else ""  # few networks can be trained on 1
        rest = ["a smaller --size", "fewer --jobs"]
        if self.trainer.device.type == "cuda":
            rest.append("--no-cuda-graphs")
        listed = f"{', '.join(rest[:-1])} or {rest[-1]}"
        return f"Take {batch}{listed}; the best checkpoint so far is kept."

    def _train_epoch(self, stop: StopRequest) -> None:
        started, images, number = time.monotonic(), 0, 0
        self._waited, steps = 0.0, self.batches.steps
        pending: list[Tensor] = []
        ids: list[Sequence[str]] = []
        epoch = self.batches.train(self.epoch, start=self.step)
        while not number and (batch := self._next(epoch, stop)):
            passed = self.epoch * steps + self.step
            frames = len(batch[2])
            loss = self.trainer.step(
                *batch[:2], epoch=self.epoch, index=self.step, passed=passed, frames=frames
            )
            pending.append(loss)
            ids.append(batch[2])
            images += frames
            self.step += 1
            self.callbacks.step(passed + 1, steps * self.config.epochs)
            number = self._agree(stop.number)  # in a group, that of the step before
            if not number and self._is_due():
                self._settle(pending, ids)
                self._save()
        self._settle(pending, ids)
        if number := number or self._alone(stop):
            self._stop(number)
        trained = time.monotonic() - started
        validation = self.trainer.validate(self._validation(stop))
        self._finish_epoch(
            validation=validation,
            seconds=time.monotonic() - started,
            images_per_second=images / max(trained, 1e-9),
            waiting=self._waited / max(trained, 1e-9),
        )

    def _alone(self, stop: StopRequest) -> int:
        """The signal that came; 0 in a group, whose processes stop at the same step."""
        return stop.number if self.group.is_single else 0

    def _next(
        self, epoch: Iterator[tuple[Tensor, Tensor, Sequence[str]]], stop: StopRequest
    ) -> tuple[Tensor, Tensor, Sequence[str]] | None:
        """The next batch; ``None`` at the end, or where a signal ends the wait for it."""
        asked = time.monotonic()
        try:
            with stop.at_once() if self.group.is_single else nullcontext():
                return next(epoch, None)
        except StoppedWaiting:
            return None
        finally:
            self._waited += time.monotonic() - asked

    def _validation(self, stop: StopRequest) -> Iterator[tuple[Tensor, Tensor]]:
        """The validation frames; a resumed run validates from the first of them again."""
        for batch in self.batches.validation():
            if number := self._alone(stop):
                self._stop(number)
            yield batch

    def _settle(self, pending: list[Tensor], ids: list[Sequence[str]]) -> None:
        """Fetch the losses from the device, once all its steps are done, and check them."""
        if not pending:
            return
        # Fails at once where a process is gone. Without it the steps never end, or NCCL gives them
        # up and leaves losses that must not be saved.
        self._agree.settle()
        losses = torch.stack(pending).float().cpu()
        finite = torch.isfinite(losses)
        if not bool(finite.all()):
            first = int((~finite).nonzero()[0, 0])
            # All processes have the loss of the whole batch, so all get here.
            fault = UserError(
                f"the loss became {losses[first].item()} in epoch {self.epoch + 1}, step "
                f"{self.step - len(pending) + first + 1}. Its frames: {', '.join(ids[first])}. "
                f"Look at them with '{command_line('data check')}', lower --learning-rate or take "
                "--precision fp32; the best checkpoint so far is kept."
            )
            raise self.group.only_main_reports(fault)
        self.losses += losses.tolist()
        pending.clear()
        ids.clear()

    def _finish_epoch(self, *, validation: Validation, **timing: float) -> None:
        best = self.best
        improved = best is None or validation.iou > best.iou
        report = Epoch(
            epoch=self.epoch + 1,
            loss=sum(self.losses) / max(1, len(self.losses)),
            iou=validation.iou,
            f1=validation.f1,
            learning_rate=self.trainer.learning_rate,
            best=improved,
            **timing,
        )
        self.history.append(report)
        self.epoch, self.step, self.losses = self.epoch + 1, 0, []
        columns: dict[str, Any] = {"epochs": self.epoch}
        if improved and self.group.is_main:
            columns |= {
                "checkpoint": checkpoints.save_weights(self.run.best, self.trainer.weights()),
                "best_epoch": report.epoch,
                "best_iou": report.iou,
                "best_f1": report.f1,
            }
        if self.group.is_main:
            write_history(self.run.folder / HISTORY, self.history)
            write_run_json(self.run, **columns)
            self.callbacks.epoch(report)
        # Last, so that a run that is killed before repeats the epoch: run.json then has the digest
        # of the weights that were written above.
        if self._is_due() and self.epoch < self.config.epochs:
            self._save()

    def _stop(self, number: int) -> None:
        self._save()
        end_workers()
        raise Interrupted(
            f"stopped in epoch {self.epoch + 1} of {self.config.epochs}; nothing is lost. "
            f"Go on with: {command_line(f'train --resume {self.run.run}')}",
            number,
        )

    def _is_due(self) -> bool:
        return time.monotonic() - self._saved > self.save_every_s

    def _save(self) -> None:
        if self.group.is_main:
            checkpoints.save_state(
                self.run.last,
                {
                    "threads": self._threads,
                    "trainer": self.trainer.state_dict(),
                    "epoch": self.epoch,
                    "step": self.step,
                    "losses": self.losses,
                    "history": [dataclasses.asdict(epoch) for epoch in self.history],
                },
            )
        # The others write nothing, but settle their losses as rarely as the main process does.
        self._saved = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        if self.group.is_single:  # the processes of a group share the cores
            self._threads = min(state.get("threads", self._threads), devices.cores())
        self.epoch, self.step = state["epoch"], state["step"]
        self.losses = list(state["losses"])
        self.history = [Epoch(**values) for values in state["history"]]
