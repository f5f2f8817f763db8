"""File names that not every system can hold."""

from __future__ import annotations

import re
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
