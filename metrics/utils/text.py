"""Text and TOML files that people write, in UTF-8 with or without a byte order mark, and CSV."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet."""

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class EncodingError(ValueError):
    """Bytes that are not UTF-8; the text says where."""


class TomlError(UserError):
    """A file that is not TOML."""


def decode_text(data: bytes) -> str:
    r"""Decode UTF-8; a byte order mark in front, as Windows' editors write it, is dropped.

    Raises:
        EncodingError: It is in another encoding.

    Example:
        >>> decode_text(b"\xef\xbb\xbfa = 1")
        'a = 1'
    """
    if data.startswith(_UTF_16):
        raise EncodingError("it is saved as UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise EncodingError(
            f"line {line} is not UTF-8 (byte 0x{byte:02x}), as in a file saved as Windows-1252 or "
            "Latin-1; save it as UTF-8"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UserError: It cannot be read.
        TomlError: It is not UTF-8 or not TOML; the message names file and line.
    """
    text = ""
    try:
        text = decode_text(path.read_bytes())
        return tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except EncodingError as error:
        raise TomlError(f"{path} is not TOML: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        hint = " Put Windows paths in single quotes: 'C:\\data'." if "\\" in text else ""
        raise TomlError(f"{path} is not TOML: {error}.{hint}") from error


def csv(frame: pd.DataFrame) -> str:
    """A table as CSV at full precision.

    A text that a spreadsheet would take for a formula gets a quote in front, see
    :func:`without_quote`.
    """

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    texts = frame.select_dtypes(exclude="number").columns
    shown = frame.assign(**{name: frame[name].map(safe) for name in texts})
    return shown.rename(columns=safe).to_csv(index=False, lineterminator="\n")


def without_quote(text: str) -> str:
    """A text of a CSV without the quote that :func:`csv` put in front.

    Example:
        >>> without_quote("'=1+1"), without_quote("'quoted'")
        ('=1+1', "'quoted'")
    """
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
