"""``harness``, ``python -m harness`` and ``torchrun -m harness``."""

import os
import sys


def forget_current_folder() -> None:
    """Take the current folder off the import path, before anything of ours is looked for.

    Teams keep folders of their own called ``models`` or ``metrics``; a tool must not import them
    because it was started beside them. Entries ahead of the standard library go (from ``-m`` and
    ``PYTHONPATH``); those behind it were installed on purpose. A clone used without installing it
    keeps its own folder.
    """
    try:
        here = os.path.realpath(os.curdir)
    except OSError:
        return
    if here == os.path.dirname(os.path.dirname(os.path.realpath(__file__))):  # noqa: PTH120
        return
    library = os.path.dirname(os.__file__)  # noqa: PTH120 (pathlib is not safe to import yet)
    ahead = sys.path.index(library) if library in sys.path else 0
    sys.path[:ahead] = [entry for entry in sys.path[:ahead] if os.path.realpath(entry) != here]


def main() -> None:
    """Run the command line; never returns."""
    forget_current_folder()
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Before and after a command, which has handlers of its own, Ctrl-C shows no traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from harness.cli import main as run

    run()


if __name__ == "__main__":
    main()
