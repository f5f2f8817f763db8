"""``harness`` on a device of little memory: a share of the GPU's, or a limit to the process's."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

from harness.__main__ import main

GPU_SHARE = 0.01
CPU_BYTES = 3 * 2**30
"""Beyond what the process has mapped once torch is loaded."""

if __name__ == "__main__":
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(GPU_SHARE, 0)
    else:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + CPU_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    main()
