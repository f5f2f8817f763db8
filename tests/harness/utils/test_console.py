from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from harness.utils import console


class Clock:
    """Seconds that grow when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def bar(total: int | None, clock: Clock) -> console.Bar:
    return console.Bar("Work", total, lambda _bar: None, clock)


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


def test_the_time_left_follows_the_pace() -> None:
    clock = Clock()
    work = bar(10, clock)
    assert work.seconds_left is None
    clock.seconds = 6.0
    work.update(4)
    assert work.seconds_left == pytest.approx(9.0)
    work.update(detail="loss 0.5")
    assert str(work) == "Work: 4 of 10, 0:09 left, loss 0.5"


def test_what_was_done_before_says_nothing_of_the_pace() -> None:
    clock = Clock()
    work = bar(10, clock)
    work.begin(6)
    assert work.seconds_left is None
    clock.seconds = 2.0
    work.advance()
    assert work.seconds_left == pytest.approx(6.0)


def test_without_a_total_only_the_steps_are_counted() -> None:
    work = bar(None, Clock())
    work.advance(3)
    assert work.seconds_left is None
    assert str(work) == "Work: 3"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


def test_a_pipe_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    draw = console.sparse_lines(interval=10.0, clock=clock)
    work = console.Bar("Work", 100, draw, clock)
    for second in range(1, 25):
        clock.seconds = float(second)
        work.update(second)
    assert capsys.readouterr().err == "Work: 10 of 100, 1:30 left\nWork: 20 of 100, 1:20 left\n"


def test_the_lines_of_json_logs_hold_figures(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json_logs=True)
    clock = Clock()
    work = console.Bar("Work", 4, console.sparse_lines(interval=1.0, clock=clock), clock)
    clock.seconds = 2.0
    work.advance()
    line = json.loads(capsys.readouterr().err)
    del line["time"]
    assert line == {
        "level": "progress",
        "message": "Work",
        "detail": "",
        "done": 1,
        "total": 4,
        "seconds_left": 6.0,
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
    assert "2/4" in drawn
    assert "loss [0.25]" in drawn
    assert "between" in drawn
    assert console.stderr() is terminal
