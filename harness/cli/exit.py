"""How a command ends: what is said, and the exit status.

0 done; 1 a fault in the input or the machine; 2 wrong usage; 130 and 143 after Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TextIO

import click

from harness.utils import console

FAULT: Final = 1
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM came; raised where the program was, so that what is open gets closed."""


def run(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line to its end, and exit with its status.

    Args:
        command: The root of the command line.
        arguments: What follows the program's name; by default what the user typed.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A frame's name, or a sign that this terminal does not know, must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    with _signals(), _plain_warnings():
        status = _status(command, arguments)
    sys.exit(_flushed(status))


def _status(command: click.Command, arguments: Sequence[str]) -> int:
    try:
        result = command.main(list(arguments), prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        return _refuse(error)
    except click.Abort as error:
        # click turns Ctrl-C, and a prompt without an answer, into this.
        if isinstance(error.__cause__, EOFError):
            console.fail("an answer was needed, but there is no input to read it from")
            return FAULT
        return _stopped("stopped by Ctrl-C", INTERRUPTED)
    except KeyboardInterrupt:
        return _stopped("stopped by Ctrl-C", INTERRUPTED)
    except Terminated:
        return _stopped("stopped by SIGTERM", TERMINATED)
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        if _debugging(arguments):
            traceback.print_exc()
        console.fail(_system_fault(error))
        return FAULT
    except Exception as error:
        return _crashed(error, arguments)
    return result if isinstance(result, int) else 0


def _refuse(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message += f"\n{error.ctx.get_usage()}\nMore: {error.ctx.command_path} --help"
    console.fail(message)
    return error.exit_code


def _stopped(message: str, status: int) -> int:
    console.fail(f"{message}; what was finished stays usable")
    return status


def _system_fault(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    remedy = {
        errno.ENOSPC: "Make room on that disk, or give another folder with --workspace.",
        errno.EDQUOT: "Make room under the quota, or give another folder with --workspace.",
        errno.EACCES: "Grant access there, or give another folder.",
        errno.EPERM: "Grant access there, or give another folder.",
        errno.EROFS: "Nothing can be written there; give another folder with --workspace.",
        errno.ENOENT: "Check the path.",
        errno.EMFILE: "Raise the limit of open files ('ulimit -n'), or use fewer workers.",
    }.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}. {remedy}".strip()


def _crashed(error: Exception, arguments: Sequence[str]) -> int:
    if _debugging(arguments):
        traceback.print_exc()
        return FAULT
    kind = f"{type(error).__name__}: {error}".splitlines()[0]
    if _is_out_of_memory(error):
        hint = "The memory was not enough; try a smaller --batch-size or --size."
    else:
        hint = "This is a fault of the harness, not of your input."
    log = _crash_log(error, arguments)
    console.fail(f"{kind}\n{hint} {f'The details are in {log}.' if log else ''}".rstrip())
    return FAULT


def _is_out_of_memory(error: Exception) -> bool:
    if "torch" not in sys.modules:  # too slow to load for a command that did not need it
        return isinstance(error, MemoryError)
    from harness.utils import device

    return device.is_out_of_memory(error)


def _crash_log(error: Exception, arguments: Sequence[str]) -> Path | None:
    """Write what is needed to find the fault; ``None`` where even that cannot be written."""
    from harness.utils.versions import versions

    lines = [
        f"arguments: {list(arguments)}",
        f"folder: {Path.cwd()}",
        *(f"{name}: {version}" for name, version in versions().items()),
        "",
        "".join(traceback.format_exception(error)),
    ]
    with (
        suppress(OSError),
        tempfile.NamedTemporaryFile(
            "w", prefix="harness-crash-", suffix=".log", delete=False, encoding="utf-8"
        ) as file,
    ):
        file.write("\n".join(lines))
        return Path(file.name)
    return None


def _debugging(arguments: Sequence[str]) -> bool:
    return "--debug" in arguments


def _flushed(status: int) -> int:
    """Write out what stdout still holds; a full disk shows only now."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        console.fail(f"cannot write the output: {_system_fault(error)}")
        _discard(sys.stdout)
        return FAULT
    return status


def _closed_pipe() -> int:
    # Whoever reads has enough, as 'head' does; not worth a word.
    _discard(sys.stdout)
    return FAULT


def _discard(stream: TextIO) -> None:
    """Let the interpreter's last flush go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _signals() -> Iterator[None]:
    owner = os.getpid()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker: its parent says what there is to say
            os._exit(TERMINATED)
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show a warning as a message of ours, without the line of code that raised it."""

    def tell(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del category, filename, lineno, file, line
        console.warn(str(message))

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield
