"""Frames divided among processes, and the joining of what each of them wrote.

Each process writes its part as a folder of its own, ``K-of-N``, which appears when it is whole. Its
``part.json`` says what the part was made of, so that parts of other frames, weights or settings
are never joined. Processes need to share nothing but the folder that the parts lie in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from metrics.utils.errors import Fault
from metrics.utils.files import read_mapping, write_json

PART: Final = "part.json"

MadeOf = Mapping[str, Any]
"""What a part was made of, as JSON holds it: a value or a mapping for each of a few names."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Process K of N, which takes the frames K, K + N, K + 2 N and so on, counted from 1.

    Neighbours go to different processes, so that long and short sequences, and large and small
    frames, spread evenly; and a video can be divided without knowing its length.
    """

    of: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``K/N``, with K from 1 to N.

        Raises:
            ValueError: It is something else.

        Example:
            >>> [*range(10)][Shard.parse("2/4").frames]
            [1, 5, 9]
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        number, of = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= of:
            raise ValueError(f"expected K/N with K from 1 to N, such as 2/4, got {text!r}")
        return cls(of=of, number=number)

    @property
    def frames(self) -> slice:
        """The positions of its frames among all."""
        return slice(self.number - 1, None, self.of)

    @property
    def folder(self) -> str:
        """The name of its part's folder."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        """As it is given on the command line."""
        return f"{self.number}/{self.of}"


def write_part(folder: Path, made_of: MadeOf, **further: Any) -> None:
    """Write what a part was made of, and further values, into its folder.

    Raises:
        UnwritableError: If it cannot be written.
    """
    write_json(folder / PART, {"made_of": made_of, **further})


def read_part(folder: Path) -> dict[str, Any]:
    """What :func:`write_part` wrote; empty where there is nothing that can be read."""
    return read_mapping(folder / PART)


def is_done(folder: Path, made_of: MadeOf) -> bool:
    """Whether a part is there, and made of this."""
    return bool(read_part(folder).get("made_of") == _as_json(made_of))


def find_parts(
    root: Path, made_of: Callable[[Shard], MadeOf]
) -> tuple[dict[Shard, Path], list[Fault]]:
    """The parts in a folder, in their order, and everything that keeps them from being joined.

    Args:
        root: The folder.
        made_of: What each part has to be made of.
    """
    there = dict(_parts_in(root))
    if not there:
        return {}, [Fault(path=str(root), message="no parts; write them with --shard K/N")]
    counts = [shard.of for shard in there]
    of = max(sorted(set(counts)), key=counts.count)  # what most are of; of two as many, the smaller
    wanted = [Shard(number=number, of=of) for number in range(1, of + 1)]
    faults = [
        Fault(
            path=str(path),
            message=f"one of {shard.of} parts beside some of {of}; delete those that are not meant",
        )
        for shard, path in there.items()
        if shard.of != of
    ]
    for shard in wanted:
        path = root / shard.folder
        if shard not in there:
            faults.append(Fault(path=str(path), message=f"missing; run --shard {shard}"))
        elif other := _differences(read_part(path).get("made_of"), _as_json(made_of(shard))):
            faults.append(
                Fault(path=str(path), message=f"made of other {other}; run --shard {shard} again")
            )
    return {shard: root / shard.folder for shard in wanted}, faults


def _parts_in(root: Path) -> Iterator[tuple[Shard, Path]]:
    for path in sorted(root.glob("*-of-*")):
        number, _, of = path.name.partition("-of-")
        try:
            shard = Shard.parse(f"{number}/{of}")
        except ValueError:
            continue
        if (path / PART).exists():
            yield shard, path


def _differences(found: Any, wanted: MadeOf) -> str:
    """The names of what differs, with the names inside a mapping in brackets."""
    found = found if isinstance(found, dict) else {}
    said = []
    for name, value in wanted.items():
        other = found.get(name)
        if other == value:
            continue
        inside = ""
        if isinstance(value, dict) and isinstance(other, dict):
            keys = sorted(key for key in value | other if value.get(key) != other.get(key))
            inside = f" ({', '.join(keys)})"
        said.append(f"{name}{inside}")
    return " and ".join(said)


def _as_json(made_of: MadeOf) -> Any:
    return json.loads(json.dumps(made_of))
