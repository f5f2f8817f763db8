from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.utils.errors import UserError
from submissions.timing import check_latency, format_timing, parse_timing

NAMES = ["a", "b"]


def test_the_format_is_the_organisers() -> None:
    text = format_timing({"b": 20.0, "a": 10.5})
    assert text == "a -----> 10.500\nb -----> 20.000\naverage_t -----> 15.250\n"


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True).filter(lambda n: n != "average_t"),
        st.floats(0, 1e6),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read_back_without_fault(latencies: dict[str, float]) -> None:
    parsed, faults = parse_timing(format_timing(latencies), list(latencies))
    assert faults == []
    assert parsed == pytest.approx(latencies, abs=5e-4)


def test_a_frame_may_carry_its_suffix() -> None:
    text = "a.jpg -----> 1\nb.jpg -----> 3\naverage_t -----> 2\n"
    assert parse_timing(text, NAMES) == ({"a": 1.0, "b": 3.0}, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a -----> 1\naverage_t -----> 1\n", "frames without a line: b"),
        ("a -----> 1\nb -----> 1\nc -----> 1\naverage_t -----> 1\n", "have no mask: c"),
        ("a -----> 1\na -----> 1\nb -----> 1\naverage_t -----> 1\n", "more than one line: a"),
        ("a -----> 1\nb -----> fast\naverage_t -----> 1\n", "lines that are not"),
        ("a 1\nb -----> 1\naverage_t -----> 1\n", "lines that are not"),
        ("a -----> -1\nb -----> 1\naverage_t -----> 1\n", "lines that are not"),
        ("a -----> 1e308\nb -----> 1e308\naverage_t -----> 1\n", "lines that are not"),
        ("a -----> inf\nb -----> 1\naverage_t -----> 1\n", "lines that are not"),
        ("a -----> 1\nb -----> 1\n", "got 0 of them"),
        ("a -----> 1\naverage_t -----> 1\nb -----> 1\n", "not the last"),
        ("a -----> 1\nb -----> 3\naverage_t -----> 9\n", "average_t is 9 ms"),
        ("", "frames without a line: a, b"),
    ],
)
def test_each_fault_is_named(text: str, message: str) -> None:
    _, faults = parse_timing(text, NAMES)
    assert any(message in fault for fault in faults), faults


@pytest.mark.parametrize("latency_ms", [-1.0, float("nan"), float("inf")])
def test_an_impossible_latency_is_refused(latency_ms: float) -> None:
    with pytest.raises(UserError, match="milliseconds"):
        check_latency(latency_ms, "a")
