"""Names that Windows cannot hold."""

from __future__ import annotations

import pytest

from metrics.utils.names import is_reserved


@pytest.mark.parametrize("name", ["CON", "con.png", "Nul.tar.gz", "aux .txt", "COM1", "lpt9.jpg"])
def test_a_devices_name_is_reserved_whatever_its_suffix(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["CON_mask.jpg", "console.png", "COM10.png", "a.con", "nul1", ""])
def test_others_are_not(name: str) -> None:
    assert not is_reserved(name)
