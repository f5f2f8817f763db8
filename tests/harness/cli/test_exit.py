from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from harness.cli import cli
from harness.cli.exit import run
from harness.utils import console
from metrics.utils.errors import Fault, FaultsError


def status(body: Callable[[], object], *arguments: str) -> int:
    """Exit status of a command line whose only command does ``body``."""

    @click.group()
    @click.option("--debug", is_flag=True)
    def root(debug: bool) -> None:
        pass

    @root.command("do")
    def do() -> None:
        body()

    with pytest.raises(SystemExit) as end:
        run(root, [*arguments, "do"])
    assert isinstance(end.value.code, int)
    return end.value.code


def raiser(error: BaseException) -> Callable[[], object]:
    def body() -> None:
        raise error

    return body


def test_done_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(lambda: click.echo("result")) == 0
    assert capsys.readouterr() == ("result\n", "")


def test_a_fault_in_the_input_is_1_and_says_all(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [Fault(path="a.jpg", message="cut off"), Fault(path="b.jpg", message="empty")]
    assert status(raiser(FaultsError(faults, "the frames cannot be used"))) == 1
    assert capsys.readouterr().err == (
        "error: the frames cannot be used (2 faults):\n  - a.jpg: cut off\n  - b.jpg: empty\n"
    )


def test_wrong_usage_is_2_and_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(raiser(click.BadParameter("no number"))) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: Invalid value: no number\nUsage: harness do")
    assert "harness do --help" in err


@pytest.mark.parametrize("arguments", [["--out", ""], ["--out="]])
def test_an_empty_value_is_refused_before_it_is_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(lambda: pytest.fail("it ran"), *arguments) == 2
    assert "an empty value follows --out" in capsys.readouterr().err


def test_streams_that_the_caller_closed_are_no_fault() -> None:
    command = f"{sys.executable} -m harness data {{}} <&- >&-"
    done = subprocess.run(
        ["sh", "-c", command.format("--help")], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    silent = subprocess.run(["sh", "-c", command.format("chekc 2>&-")], check=False)
    assert silent.returncode == 2


def test_a_fault_in_a_sub_folder_names_the_settings_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "harness.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert status(raiser(FaultsError([Fault(path="a", message="b")]))) == 1
    assert "harness.toml" not in capsys.readouterr().err
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert status(raiser(FaultsError([Fault(path="a", message="b")]))) == 1
    assert f"there is one in {tmp_path}." in capsys.readouterr().err


def test_an_option_of_all_commands_after_the_command_is_told_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(cli, ["submissions", "--quiet"])
    assert "goes before the command: harness --quiet ..." in capsys.readouterr().err


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group()
    def root() -> None:
        pass

    with pytest.raises(SystemExit) as end:
        run(root, [])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("Usage: harness")
    assert "error" not in err


def test_an_own_exit_status_is_kept() -> None:
    assert status(lambda: click.get_current_context().exit(7)) == 7


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(raiser(KeyboardInterrupt())) == 130
    assert "error: stopped by Ctrl-C" in capsys.readouterr().err


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """SIGHUP as it is without ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangs_up")
@pytest.mark.parametrize(("name", "ends"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_sigterm_is_143_and_closes_what_is_open(
    name: str, ends: int, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = []
    number = getattr(signal, name)

    def body() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            closed.append(True)

    before = signal.getsignal(number)
    assert status(body) == ends
    assert closed == [True]
    assert signal.getsignal(number) is before
    assert f"error: stopped by {name}" in capsys.readouterr().err


@pytest.mark.usefixtures("hangs_up")
def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert status(lambda: signal.raise_signal(signal.SIGHUP)) == 0


TWICE = """
import click, os, signal
from harness.cli.exit import run
from harness.utils import console

@click.command()
def wait():
    os.kill(os.getpid(), signal.{name})
    signal.pause()

# A shell's background processes, such as a test run's, inherit that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
say = console.fail
console.fail = lambda message: (say(message), os.kill(os.getpid(), signal.{name}), click.echo(""))
run(wait, [])
"""


@pytest.mark.parametrize(("name", "ends"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_second_signal_does_not_interrupt_the_message(name: str, ends: int) -> None:
    command = [sys.executable, "-c", TWICE.format(name=name)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == ends
    assert "error: stopped by " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "Make room"), (errno.EACCES, "Grant access")]
)
def test_a_system_fault_names_the_file_and_the_remedy(
    number: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(raiser(OSError(number, os.strerror(number), "/data/best"))) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: /data/best: {os.strerror(number)}. {advice}")
    assert "Traceback" not in err


def test_a_question_that_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert status(lambda: click.confirm("Remove?", abort=True)) == 1
    assert "an answer was needed" in capsys.readouterr().err
    assert status(raiser(EOFError("cut off")), "--debug") == 1  # of a pipe or a file
    assert "answer" not in capsys.readouterr().err


def test_a_closed_pipe_is_not_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(raiser(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 1
    assert capsys.readouterr().err == ""


def test_an_internal_error_leaves_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(raiser(ZeroDivisionError("by\nzero"))) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ZeroDivisionError: by\n")
    assert "Traceback" not in err
    found = re.search(r"The details are in (\S+)\.$", err.strip())
    assert found
    log = Path(found[1])
    text = log.read_text(encoding="utf-8")
    log.unlink()
    assert "arguments: ['do']" in text
    assert "Traceback" in text
    assert "python: " in text


def test_debug_shows_the_traceback_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(raiser(ZeroDivisionError("by zero")), "--debug") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "harness-crash" not in err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no more"),
        torch.OutOfMemoryError("Tried to allocate 2.00 GiB"),
        RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_said_as_such(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert status(raiser(error)) == 1
    assert "--batch-size" in capsys.readouterr().err


def test_a_log_that_there_is_no_memory_for_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("harness.utils.versions.versions", raiser(MemoryError()))
    assert status(raiser(MemoryError("no more"))) == 1
    assert "--batch-size" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), BlockingIOError(errno.EAGAIN, "Try again")]
)
def test_too_few_threads_or_processes_name_the_limits(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert status(raiser(error)) == 1
    assert "ulimit -u" in (said := capsys.readouterr().err)
    assert "fault of the harness" not in said


def test_a_warning_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        warnings.simplefilter("always")
        warnings.warn("the plug-in is left out", stacklevel=1)

    assert status(body) == 0
    assert capsys.readouterr().err == "warning: the plug-in is left out\n"


def test_what_a_library_logs_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(lambda: logging.getLogger("some.package").warning("no cache")) == 0
    assert capsys.readouterr().err == "warning: some.package: no cache\n"
    assert console.handler not in logging.getLogger().handlers


def test_a_thread_that_ends_in_an_error_shows_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        thread = threading.Thread(target=raiser(OSError(errno.ENOSPC, "No space left")))
        thread.start()
        thread.join()

    assert status(body) == 0
    assert capsys.readouterr().err == "warning: OSError: [Errno 28] No space left\n"


DECODE = """
import click
from harness.cli.exit import run
from harness.utils import console
from metrics.masks import image
from metrics.utils.errors import UserError

@click.command()
def decode():
    import cv2, numpy
    jpeg = cv2.imencode(".jpg", numpy.zeros((8, 8, 3), "u1"))[1].tobytes()
    cv2.imdecode(numpy.frombuffer(jpeg[:-2] + b"\\0\\1\\2\\3" + jpeg[-2:], "u1"), -1)
    assert cv2.imdecode(numpy.frombuffer(b"II*\\0\\x08\\0\\0\\0" + b"abc" * 300, "u1"), -1) is None
    try:
        image.decode(jpeg[:-2] + b"\\0" * 40 + jpeg[-2:], -1, name="a.jpg")
    except UserError:
        print("damage is told")

run(decode, [])
"""


def test_decoders_write_no_lines_of_their_own() -> None:
    result = subprocess.run(
        [sys.executable, "-c", DECODE], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("damage is told\n", "")


@pytest.mark.parametrize("words", [("nosuch",), ("--nosuch",), ()])
def test_what_is_wrong_before_the_options_are_known_is_json_too(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "harness", "--json-logs", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert [json.loads(line)["level"] for line in said.splitlines()] == ["error"]


def program(*arguments: str, **settings: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **settings)  # type: ignore[call-overload, no-any-return]


def test_a_reader_that_leaves_is_no_fault() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe, program("--help", stdout=pipe) as process:
        assert process.communicate()[1] == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_said() -> None:
    with Path("/dev/full").open("w") as full, program("--help", stdout=full) as process:
        err = process.communicate()[1]
    assert process.returncode == 1
    assert err.startswith("error:")
    assert "No space left" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_messages_that_nobody_can_read_end_no_command(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "harness", "data", "synth", str(tmp_path / "drawn")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*line, "--frames", "40", "--height", "64"], stderr=full, check=False)
        refused = subprocess.run([*line, "--frames", "40"], stderr=full, check=False)
    assert (done.returncode, refused.returncode) == (0, 1)
    assert (tmp_path / "drawn" / "truth").is_dir()


def test_a_current_folder_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert status(Path.cwd) == 1
    assert "the current folder was deleted" in capsys.readouterr().err
