"""Work ahead in threads, in order, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

from harness.utils.device import cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def few_ahead() -> int:
    """Enough results to keep one thread a core busy, and few, as progress runs behind by these."""
    return min(16, 2 * cores())


def map_ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Results of ``function`` in the order of ``items``, computed at most ``ahead`` items ahead.

    Unlike ``Executor.map`` it reads ``items`` lazily, so a long stream stays flat in memory.

    Yields:
        The results, in order; the first call that raised raises here.
    """
    source = iter(items)
    waiting: deque[Future[Result]] = deque(
        pool.submit(function, item) for item in islice(source, ahead)
    )
    try:
        while waiting:
            result = waiting.popleft().result()
            # The next begins before the caller works on this one, so that no thread waits for it.
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()
