"""Names that Windows cannot hold."""

from __future__ import annotations

import pytest

from metrics.utils.names import clashes, is_reserved


@pytest.mark.parametrize("name", ["CON", "con.png", "Nul.tar.gz", "aux .txt", "COM1", "lpt9.jpg"])
def test_a_devices_name_is_reserved_whatever_its_suffix(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["CON_mask.jpg", "console.png", "COM10.png", "a.con", "nul1", ""])
def test_others_are_not(name: str) -> None:
    assert not is_reserved(name)


def test_names_that_some_system_takes_for_one_are_paired_with_the_first() -> None:
    composed, parts = "P\u00f6lyp.png", "po\u0308lyp.PNG"
    assert clashes(["b", composed, "B", parts, "stra\u00dfe", "STRASSE"]) == [
        (2, 0),
        (3, 1),
        (5, 4),
    ]
    assert clashes(["a", "b", "ab"]) == []
