"""How a command ends: the last message and the exit status.

0 done; 1 a fault in the input or the machine; 2 wrong usage; 129, 130 and 143 after a closed
terminal, Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise, takewhile
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import IO, Any, Final, NoReturn

import click

from harness.utils import console
from harness.utils.signals import stopping

FAULT: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT
_STDERR: Final = 2
_OF_ALL_COMMANDS: Final = ("--quiet", "-q", "--json-logs", "--debug")

_REMEDIES: Final = {
    errno.ENOSPC: "Make room on that disk, or give another folder.",
    errno.EDQUOT: "Make room under the quota, or give another folder.",
    errno.EIO: "The disk or network folder fails; try again, or give another folder.",
    errno.EROFS: "Nothing can be written there; give another folder.",
    errno.EACCES: "Grant access there, or give another folder.",
    errno.EPERM: "Grant access there, or give another folder.",
    errno.ENOENT: "Check the path.",
    errno.EAGAIN: "Raise the limits of processes and memory ('ulimit -u', 'ulimit -v').",
    errno.EMFILE: "Raise the limit of open files ('ulimit -n'), or use fewer workers.",
}


_command: Final = SimpleNamespace(is_running=False)
"""Whether a command is at work, for the handler of signals."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP came, its number; raised wherever the program is, to close what is open."""


def run(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line to its end, and exit with its status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # Where the caller closed one, no file of ours must take its number.
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal cannot show must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A wrong option is said before the options are known.
    leading = set(takewhile(lambda word: word.startswith("-"), arguments))
    console.configure(json_logs="--json-logs" in leading)
    if "--json-logs" in leading:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if "--debug" not in arguments and not _keep_stderr_to_python():
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    with _signals_raise(), _library_messages():
        status = _status(command, arguments)
    sys.exit(_flush_stdout(status))


def _status(command: click.Command, arguments: Sequence[str]) -> int:
    """Run the command; every way to end becomes a message and an exit status."""
    if empty := _before_nothing(arguments):
        return _fail(
            f"an empty value follows {empty}; give one, or leave the option out (perhaps a "
            "variable of your shell is not set)",
            USAGE,
        )
    try:
        _command.is_running = True
        try:
            result = command.main(list(arguments), prog_name="harness", standalone_mode=False)
        finally:
            _command.is_running = False
    except click.exceptions.NoArgsIsHelpError as error:
        console.note(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        _fail(_click_message(error))
        if error.exit_code == FAULT:
            _name_settings_above()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # click raises Abort for Ctrl-C, for a prompt without an answer, and for any EOFError.
        if isinstance(error.__cause__, EOFError):
            return _unexpected(error.__cause__, arguments)
        if isinstance(error.__context__, EOFError):
            return _fail("an answer was needed, but there is no input to read it from")
        return _fail("stopped by Ctrl-C; what was finished stays usable", INTERRUPTED)
    except Terminated as error:
        number = signal.Signals(error.args[0])
        return _fail(f"stopped by {number.name}; what was finished stays usable", 128 + number)
    except Exception as error:
        return _unexpected(error, arguments)
    return result if isinstance(result, int) else 0


def _before_nothing(arguments: Sequence[str]) -> str:
    """The word before an empty one; empty where there is none.

    An empty path would be the current folder, an empty name the default.
    """
    for before, word in pairwise(["harness", *arguments]):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            return word.rstrip("=") or before
    return ""


def _fail(message: str, status: int = FAULT) -> int:
    console.fail(message)
    return status


def _click_message(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        if isinstance(error, click.NoSuchOption) and error.option_name in _OF_ALL_COMMANDS:
            message += f" It goes before the command: harness {error.option_name} ..."
        message += f"\n{error.ctx.get_usage()}\nMore: {error.ctx.command_path} --help"
    return message


def _name_settings_above() -> None:
    """In a sub-folder of a project, say that its settings are not read there."""
    from harness.config.settings import FILE_NAME

    with suppress(OSError):
        here, *above = (Path.cwd(), *Path.cwd().parents)
        found = [folder for folder in above if (folder / FILE_NAME).is_file()]
        if found and not (here / FILE_NAME).exists():
            console.note(
                f"{FILE_NAME} is read in the current folder only; there is one in {found[0]}."
            )


def _unexpected(error: Exception, arguments: Sequence[str]) -> int:
    """A fault of the system or of the harness itself; the latter leaves a log file."""
    from harness.utils.device import is_out_of_memory

    debug = "--debug" in arguments
    if debug:
        console.fail(traceback.format_exc())
    if isinstance(error, OSError):
        return _fail(_system_fault(error))
    if debug:
        return FAULT
    kind = f"{type(error).__name__}: {error}".splitlines()[0]
    if is_out_of_memory(error):
        hint = "The memory was not enough; try a smaller --batch-size or --size."
    elif "can't start new thread" in kind:
        hint = f"The system gives no further thread. {_REMEDIES[errno.EAGAIN]}"
    else:
        hint = "This is a fault of the harness, not of your input."
    log = _crash_log(error, arguments)
    return _fail(f"{kind}\n{hint} {f'The details are in {log}.' if log else ''}".rstrip())


def _system_fault(error: OSError) -> str:
    if error.errno == errno.ENOENT and not error.filename:  # as of getcwd
        return "the current folder was deleted or replaced; go to one that is there, by 'cd'."
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}. {remedy}".strip()


def _crash_log(error: Exception, arguments: Sequence[str]) -> Path | None:
    """Write what is needed to find the fault; ``None`` where even that cannot be written."""
    from harness.utils.versions import versions

    with (
        suppress(OSError, MemoryError),
        tempfile.NamedTemporaryFile(
            "w",
            prefix="harness-crash-",
            suffix=".log",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file,
    ):
        lines = [
            f"arguments: {list(arguments)}",
            f"folder: {Path.cwd()}",
            *(f"{name}: {version}" for name, version in versions().items()),
            "",
            "".join(traceback.format_exception(error)),
        ]
        file.write("\n".join(lines))
        return Path(file.name)
    return None


def _flush_stdout(status: int) -> int:
    """Write out what stdout still holds; a full disk shows only now."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # or Python fails again as it flushes at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return FAULT  # the reader of a pipe has enough, as 'head' does; click ends so, too
        return _fail(f"cannot write the output: {_system_fault(error)}")
    return status


def _keep_stderr_to_python() -> bool:
    """Give Python's stderr a descriptor of its own, and keep what C libraries write to a file.

    Decoders (libpng, libjpeg, libtiff, FFmpeg) write lines to descriptor 2 past Python. The harness
    says itself which files cannot be read; it learns from that file which images are damaged
    (``metrics.masks.complaints``). False where Python's stderr is not descriptor 2.
    """
    try:
        if sys.stderr.fileno() != _STDERR:
            return False
        sys.stderr.flush()
        own = console.MessageStream(
            os.fdopen(os.dup(_STDERR), "wb"),
            sys.stderr.encoding,
            "backslashreplace",
            line_buffering=True,
        )
    except (OSError, ValueError, AttributeError):  # captured, closed or absent
        return False
    with _unnamed_file() as file:
        os.dup2(file.fileno(), _STDERR)
    sys.stderr = own
    return True


def _unnamed_file() -> IO[bytes]:
    """A file that ends with the process; where none can be made, one that keeps nothing."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return Path(os.devnull).open("wb")


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Have what asks to stop raise while the command runs; before and after it that ends all.

    So a second one cannot interrupt the message about the first, which would show a traceback.
    """
    owner = os.getpid()

    def stop(number: int, _frame: FrameType | None) -> None:
        # A forked worker ends silently; its parent writes the message.
        if os.getpid() != owner or not _command.is_running:
            os._exit(128 + number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    before = {number: signal.signal(number, stop) for number in stopping()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _library_messages() -> Iterator[None]:
    """Show warnings and log records of libraries as messages of ours."""

    def show(message: Warning | str, *_details: Any, **_more: Any) -> None:
        console.warn(str(message))

    def show_thread(ended: threading.ExceptHookArgs) -> None:
        console.warn(f"{ended.exc_type.__name__}: {ended.exc_value}")

    root = logging.getLogger()
    root.addHandler(console.handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            threading.excepthook = show_thread
            yield
    finally:
        threading.excepthook = threading.__excepthook__
        root.removeHandler(console.handler)
