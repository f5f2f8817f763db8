"""Names of files that people chose: compared, written and kept on any system."""

from __future__ import annotations

import re
import unicodedata
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
