from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.table import Table

from harness.utils import console
from harness.utils.progress import Bar


class Clock:
    """Seconds that grow when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_messages_go_to_stderr_and_results_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console.note("a note")
    console.success("done")
    console.warn("careful")
    console.fail("no good")
    console.show("a result")
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert err == "a note\ndone\nwarning: careful\nerror: no good\n"


def test_quiet_keeps_warnings_errors_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True)
    console.note("a note")
    console.success("done")
    console.warn("careful")
    console.fail("no good")
    console.show("a result")
    with console.progress("Work", 1) as work:
        work.advance()
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert err == "warning: careful\nerror: no good\n"


def test_json_logs_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json_logs=True)
    console.note("Größe: 3 µm")
    console.fail("two\nlines")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("note", "Größe: 3 µm"),
        ("error", "two\nlines"),
    ]


def test_text_is_neither_wrapped_nor_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]/a/path[1]/" + "x" * 300 + " :smile:"
    console.note(text)
    console.show(text)
    assert capsys.readouterr() == (text + "\n", text + "\n")


def test_no_color_keeps_colour_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    console.fail("no good")
    assert "\x1b[1;31m" in screen.getvalue()
    screen.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    console.fail("no good")
    assert "31m" not in screen.getvalue()


def test_a_pipe_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    work = Bar("Work", 100, console.occasional_lines(interval=10.0, clock=clock), clock)
    for second in range(1, 25):
        clock.seconds = float(second)
        work.update(second)
    assert capsys.readouterr().err == "Work: 10 of 100\nWork: 20 of 100, 1:20 left\n"


def test_the_lines_of_json_logs_hold_figures(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json_logs=True)
    clock = Clock()
    work = Bar("Work", 20, console.occasional_lines(interval=12.0, clock=clock), clock)
    for second in range(0, 15, 3):
        clock.seconds = float(second)
        work.advance()
    line = json.loads(capsys.readouterr().err)
    del line["time"]
    assert line == {
        "level": "progress",
        "message": "Work",
        "detail": "",
        "done": 5,
        "total": 20,
        "seconds_left": 45.0,
    }


def test_short_work_says_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(console.track([1, 2, 3], "Work")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_track_knows_the_length_where_there_is_one() -> None:
    with console.progress("Work") as work:
        work.update(1, 2)
        assert (work.done, work.total) == (1, 2)
    assert sum(console.track((n for n in range(4)), "Work")) == 6


def test_a_terminal_gets_a_bar_and_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(console, "stderr", lambda: terminal)
    with console.progress("Reading frames", 4) as work:
        work.update(2, detail="loss [0.25]")
        console.note("between")
        with console.progress("inner", 1) as inner:
            inner.advance()
    drawn = screen.getvalue()
    assert "Reading frames" in drawn
    assert "2 of 4" in drawn
    assert "loss [0.25]" in drawn
    assert "between" in drawn
    assert console.stderr() is terminal


def test_a_step_of_a_bar_is_seen_in_the_bar_alone(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    whole = Bar("all", 3, console.occasional_lines(interval=10.0, clock=clock), clock, even=False)
    for step in ("one", "two"):
        with console.step_of(whole):
            console.note("left out")
            console.success(f"{step} is done")
            clock.seconds += 20
            with console.progress(step, 4) as inner:
                inner.advance()
    console.note("a note")
    assert (whole.done, whole.detail) == (2, "")
    assert capsys.readouterr().err == (
        "one is done\nall: 0 of 3, one: 1 of 4\ntwo is done\nall: 1 of 3, two: 1 of 4\na note\n"
    )


NAME = "polyp\x1b[31m\u202egnp.\udcff\r"
ESCAPED = "polyp\\u001b[31m\\u202egnp.\\udcff\\u000d"


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name")
    table.add_row(NAME)
    console.note(NAME)
    console.show(NAME)
    console.show(table)
    out, err = capsys.readouterr()
    assert err == f"{ESCAPED}\n"
    assert out.startswith(f"{ESCAPED}\n")
    assert out.count(ESCAPED.removesuffix("\\u000d")) == 2
    assert "\x1b" not in out


def test_json_lines_are_valid_whatever_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json_logs=True)
    console.note(NAME)
    console.show(json.dumps({"name": NAME}, ensure_ascii=False))
    out, err = capsys.readouterr()
    assert json.loads(err)["message"] == ESCAPED
    assert json.loads(out)["name"] == NAME
    assert out.rstrip("\n").isprintable()


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    """The logger of a library, whose records reach the console."""
    logger = logging.getLogger("some.package")
    logger.addHandler(console.handler)
    logger.propagate = False
    yield logger
    logger.removeHandler(console.handler)
    logger.propagate = True


def test_what_libraries_log_is_a_message(
    library: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    library.warning("no %s", "cache")
    library.critical("lost")
    assert capsys.readouterr().err == "warning: some.package: no cache\nerror: some.package: lost\n"
