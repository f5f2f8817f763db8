"""Names of files that people chose: compared, written and kept on any system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_DEVICES: Final = r"CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3]"
_RESERVED: Final = re.compile(rf"({_DEVICES})\s*(\..*)?", re.IGNORECASE | re.DOTALL)


def is_reserved(name: str) -> bool:
    """Whether Windows takes a file's name for a device's, with whatever suffix.

    Example:
        >>> is_reserved("aux.png"), is_reserved("auxiliary.png"), is_reserved("CON_mask.jpg")
        (True, False, False)
    """
    return _RESERVED.fullmatch(name) is not None


def valid_text(name: str) -> str:
    r"""A name, with ``\xNN`` in place of bytes that are no UTF-8.

    Example:
        >>> valid_text("caf\udce9")
        'caf\\xe9'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def normal(name: str) -> str:
    """A name as text that can be compared and written anywhere.

    Unicode spells some letters in two ways, and file systems keep either; NFC is the usual one.

    Example:
        >>> normal("e\u0301") == "\u00e9"
        True
    """
    return unicodedata.normalize("NFC", valid_text(name))


def comparable(name: str) -> str:
    """A name as file systems compare it that mind neither capitals nor how accents are encoded.

    Example:
        >>> comparable("Caf\u00e9.png") == comparable("cafe\u0301.PNG")
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def clashes(names: Iterable[str]) -> list[tuple[int, int]]:
    """Positions of names that some file system takes for an earlier one, each with that one's.

    Example:
        >>> clashes(["a", "b", "A", "a"])
        [(2, 0), (3, 0)]
    """
    first: dict[str, int] = {}
    found = [(at, first.setdefault(comparable(name), at)) for at, name in enumerate(names)]
    return [(at, earlier) for at, earlier in found if earlier < at]


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun, in the plural where it is not 1: by default with an s.

    Example:
        >>> counted(1, "frame"), counted(1200, "mask is", "masks are")
        ('1 frame', '1,200 masks are')
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def few(names: Sequence[str], shown: int = 10) -> str:
    """The first names of a list, and how many more there are.

    Example:
        >>> few(["a.gif", "b.gif", "c.gif"], shown=2)
        'a.gif, b.gif and 1 more'
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def passed_over(names: Sequence[str], where: str, shown: int = 5) -> str:
    """What was passed over in a folder, counted and the first ones named; empty where nothing was.

    Example:
        >>> passed_over(["a.gif", "b.gif", "c.gif"], "frames/", shown=2)
        '3 passed over in frames/: a.gif, b.gif and 1 more'
    """
    if not names:
        return ""
    return f"{len(names)} passed over in {where}: {few(names, shown)}"
