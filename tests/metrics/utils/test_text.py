"""Text files as people's editors save them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from metrics.utils.text import (
    EncodingError,
    TomlError,
    csv,
    decode_text,
    read_toml,
    without_quote,
)

TEXT = '# \u00dcbung\nworkspace = "w"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_utf_8_is_read_with_and_without_a_mark(
    tmp_path: Path, encoding: str, line_end: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(TEXT.replace("\n", line_end).encode(encoding))
    assert read_toml(path) == {"workspace": "w"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode("cp1252"), r"a\.toml is not TOML: line 1 is not UTF-8 \(byte 0xdc\)"),
        (b"\xef\xbb\xbfa = 1\nb = '\xff'", r"line 2 is not UTF-8 \(byte 0xff\)"),
        (TEXT.encode("utf-16"), "it is saved as UTF-16; save it as UTF-8"),
        (b'a = "C:\\data"', r"line 1.*in single quotes: 'C:\\data'"),
        (b"a = 1\nb c", "line 2"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    with pytest.raises(TomlError, match=said):
        read_toml(path)


def test_bytes_of_another_encoding_are_an_error_of_the_value() -> None:
    with pytest.raises(EncodingError, match="line 3"):
        decode_text(b"a\nb\n\x80")


def test_names_that_look_like_formulas_survive_a_csv(tmp_path: Path) -> None:
    names = ["=1+1", "+a", "-b", "@c", "'quoted", "plain"]
    path = tmp_path / "a.csv"
    path.write_text(csv(pd.DataFrame({"name": names, "figure": -0.1})))
    assert not any(line.startswith(("=", "+", "-", "@")) for line in path.read_text().splitlines())
    read = pd.read_csv(path, converters={"name": without_quote})
    assert read["name"].tolist() == names
    assert read["figure"].tolist() == [-0.1] * 6
