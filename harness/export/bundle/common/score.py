"""Score one submission. README.md says how the platform calls this; ``run_locally.sh`` tries it.

Nothing but Python itself is needed here: packages that are missing are installed first, for this
run alone, from the folder ``wheels`` where there is one. The syntax is that of older versions of
Python, so that they say which one is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST = (3, 11)
MODULES = (
    "PIL", "click", "cv2", "filelock", "numpy", "pandas", "scipy", "skimage", "tifffile", "zlib_ng",
)  # fmt: skip


def main() -> int:
    """Score, and return the exit status."""
    if sys.version_info[:2] < OLDEST:
        return failed("it needs Python {}.{} or newer".format(*OLDEST))
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as folder:
        if not all(importlib.util.find_spec(name) for name in MODULES):
            if not install(folder):
                return failed("its packages could not be installed")
            sys.path.insert(1, folder)
        platform = json.loads((HERE / "evaluator.json").read_text(encoding="utf-8"))["platform"]
        try:
            module = importlib.import_module(f"submissions.platforms.{platform}")
            return int(module.main(HERE, sys.argv[1:]))
        except Exception as error:  # whoever reads this is shown no traceback
            return failed(type(error).__name__)


def install(folder: str) -> bool:
    """Install the packages into a folder; whether that worked."""
    wheels = HERE / "wheels"
    source = ["--no-index", "--find-links", str(wheels)] if wheels.is_dir() else []
    pip = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = ["--requirement", str(HERE / "packages.txt")]
    command = [*pip, "--target", folder, "--no-deps", *source, *pinned]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def failed(why: str) -> int:
    """Say on stderr why nothing can be scored."""
    sys.stderr.write(f"the evaluation cannot run: {why}; please tell the organisers\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
