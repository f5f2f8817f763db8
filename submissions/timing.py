"""The timing file of a test set: one line per frame, and the average last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final

from metrics.utils.errors import UserError
from metrics.utils.names import few, normal

ARROW: Final = "----->"
AVERAGE: Final = "average_t"
TOLERANCE: Final = 0.01
"""Largest relative difference between the average line and the mean of the others."""

_DECIMALS: Final = 3
_LONGEST_MS: Final = 1e12  # thirty years; means of far larger ones overflow
_MOST_LINES: Final = 4  # times as many as there should be
_SHOWN: Final = 5


def format_timing(latencies_ms: Mapping[str, float]) -> str:
    """The file's text.

    Args:
        latencies_ms: Frame name to prediction time in milliseconds; at least one.
    """
    rounded = {name: round(latencies_ms[name], _DECIMALS) for name in sorted(latencies_ms)}
    lines = [_line(name, latency) for name, latency in rounded.items()]
    return "\n".join([*lines, _line(AVERAGE, fmean(rounded.values())), ""])


def most_bytes(frames: int) -> int:
    """The largest file that is read for so many frames; a proper one has a tenth of it."""
    return 4096 + 600 * frames


def parse_timing(text: str, names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Parse a timing file that must list each of the frames ``names`` once; collect every fault.

    Returns:
        Milliseconds by frame name, as far as they could be read, and one message per fault. In
        the file a frame's name may have its image suffix.
    """
    wanted = set(names)
    latencies: dict[str, float] = {}
    bad: list[str] = []
    repeated: list[str] = []
    averages: list[float] = []
    lines = [line for line in normal(text).splitlines() if line.strip()]
    if len(lines) > _MOST_LINES * (len(names) + 5):
        return {}, [f"{len(lines):,} lines; expected {len(names) + 1:,}, one a frame and {AVERAGE}"]
    for line in lines:
        name, latency = _parsed(line)
        if latency is None:
            bad.append(line.strip()[:60])
        elif name == AVERAGE:
            averages.append(latency)
        else:
            name = name if name in wanted else name.rpartition(".")[0] or name
            if name in latencies:
                repeated.append(name)
            latencies[name] = latency
    groups = {
        f"lines that are not 'NAME {ARROW} MILLISECONDS'": bad,
        "frames with more than one line": repeated,
        "frames without a line": sorted(wanted - latencies.keys()),
        "lines of frames that have no mask": sorted(latencies.keys() - wanted),
    }
    faults = [
        f"{what}: {few([ascii(item)[1:-1] for item in items], _SHOWN)}"
        for what, items in groups.items()
        if items
    ]
    last_is_average = bool(lines) and _parsed(lines[-1])[0] == AVERAGE
    faults += _average_faults(averages, latencies, last_is_average=last_is_average)
    return {name: ms for name, ms in latencies.items() if name in wanted}, faults


def check_latency(latency_ms: float, name: str) -> None:
    """Check a prediction time.

    Raises:
        UserError: It is negative or not finite.
    """
    if not (math.isfinite(latency_ms) and latency_ms >= 0):
        raise UserError(f"{name}: expected its prediction time in milliseconds, got {latency_ms}")


def _line(name: str, latency_ms: float) -> str:
    return f"{name} {ARROW} {latency_ms:.{_DECIMALS}f}"


def _parsed(line: str) -> tuple[str, float | None]:
    name, arrow, value = line.rpartition(ARROW)
    try:
        latency = float(value)
    except ValueError:
        return name.strip(), None
    plain = value.isascii() and "_" not in value  # Python alone reads the rest as numbers
    valid = bool(arrow and name.strip()) and plain and 0 <= latency < _LONGEST_MS
    return name.strip(), latency if valid else None


def _average_faults(
    averages: Sequence[float], latencies: Mapping[str, float], *, last_is_average: bool
) -> Iterator[str]:
    expected = f"expected one last line '{AVERAGE} {ARROW} MILLISECONDS'"
    if len(averages) != 1:
        yield f"{expected}, got {len(averages)} of them"
        return
    if not last_is_average:
        yield f"{expected}, but it is not the last"
    if latencies:
        mean = fmean(latencies.values())
        if abs(averages[0] - mean) > max(TOLERANCE * mean, 10**-_DECIMALS):
            yield f"{AVERAGE} is {averages[0]:g} ms, but the lines above average {mean:g} ms"
