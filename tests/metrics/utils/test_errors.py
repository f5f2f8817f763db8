import click
import pytest

from metrics.utils.errors import Fault, FaultsError, UserError


def test_fault_reads_as_one_line():
    assert str(Fault(path="a/b.jpg", message="is truncated")) == "a/b.jpg: is truncated"
    assert str(Fault(path="", message="no frames")) == "no frames"
    assert str(Fault(path="a\nb.jpg", message="is truncated")) == "a\\nb.jpg: is truncated"


def test_faults_are_all_told_at_once():
    error = FaultsError([Fault(path=f"f{i}", message="bad") for i in range(3)], summary="look")
    assert isinstance(error, UserError)
    assert isinstance(error, click.ClickException)
    assert error.exit_code == 1
    assert error.message.splitlines() == [
        "look (3 faults):",
        "  - f0: bad",
        "  - f1: bad",
        "  - f2: bad",
    ]


def test_a_long_list_is_cut_and_says_so():
    error = FaultsError([Fault(path=str(i), message="bad") for i in range(FaultsError.shown + 7)])
    assert error.message.endswith("... and 7 more")
    assert len(error.faults) == FaultsError.shown + 7


@pytest.mark.parametrize("count", [1, 2])
def test_number_of_faults_is_grammatical(count):
    error = FaultsError([Fault(path="x", message="bad")] * count)
    assert f"({count} fault{'s' if count > 1 else ''}):" in error.message
