"""Five training steps by a team of one process over NCCL; started by torchrun.

A team of one process usually talks to nobody. Here it takes the path of several, so that gradients,
logits and signals really go through the backend. Prints the losses as JSON, beside those of a
process alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
import torch.distributed as dist

from harness.config.recipe import resolve
from harness.runs.network import build, normalisation
from harness.training.distributed import SINGLE, Agreement, ProcessGroup
from harness.training.trainer import Trainer

STEPS, FRAMES, SIZE = 5, 4, 64
DEVICE = torch.device("cuda", 0)


@dataclass(frozen=True, kw_only=True)
class TeamOfOne(ProcessGroup):
    """One process that behaves as one of several."""

    @property
    def is_single(self) -> bool:
        return False


def losses(group: ProcessGroup) -> list[float]:
    config = resolve(
        "unet", "paper", encoder="resnet18", encoder_weights="none", size=SIZE, precision="fp32"
    )
    torch.manual_seed(0)
    trainer = Trainer(
        config,
        build(config),
        device=DEVICE,
        normalisation=normalisation(config),
        steps=STEPS,
        group=group,
    )
    generator = torch.Generator().manual_seed(0)
    shape = (FRAMES, 3, SIZE, SIZE)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    masks = (images[:, 0] > 127).to(torch.uint8)
    agreement = Agreement(group)
    found = []
    for step in range(STEPS):
        found.append(trainer.step(images, masks, epoch=0, index=step, passed=step).item())
        agreement(0)
    return found


def main() -> None:
    torch.cuda.set_device(DEVICE)
    dist.init_process_group("cpu:gloo,cuda:nccl")
    group = TeamOfOne()
    result = {
        "backend": dist.get_backend(),
        "alone": losses(SINGLE),
        "team": losses(group),
        "shared": group.share("value"),
        "gathered": [part.tolist() for part in group.gather([torch.ones(2, device=DEVICE)])],
    }
    dist.destroy_process_group()
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
