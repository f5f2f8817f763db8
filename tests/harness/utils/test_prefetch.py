"""Work ahead, in order, with bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.utils.prefetch import map_ahead


def test_results_keep_the_order_of_the_items() -> None:
    first_may_end = threading.Event()

    def square(item: int) -> int:
        if item == 0:
            first_may_end.wait(10)
        if item == 1:
            first_may_end.set()
        return item * item

    with ThreadPoolExecutor(2) as pool:
        assert list(map_ahead(pool, square, range(6), 3)) == [0, 1, 4, 9, 16, 25]


def test_items_are_read_no_further_than_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            read.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, str, items(), 4)
        assert next(results) == "0"
        assert len(read) == 5


def test_an_error_comes_out_at_its_place() -> None:
    def inverse(item: int) -> float:
        return 1 / item

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, inverse, [2, 1, 0, 4], 2)
        assert [next(results), next(results)] == [0.5, 1.0]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_nothing_in_nothing_out() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert list(map_ahead(pool, str, [], 4)) == []
