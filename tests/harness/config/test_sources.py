from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.config import settings
from harness.config.sources import Pair, parse_test_sets
from harness.config.write_settings import write_file
from metrics.utils.errors import FaultsError, UserError

TABLES = {
    "train": "A",
    "val": {"images": "B/frames", "masks": "B/labels", "mask_name": "{stem}_label"},
    "test": {"kvasir seg": "C", "etis": {"images": "D/1", "masks": "D/2"}},
    "classes": {"polyp": 255},
}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write_file(tmp_path / "harness.toml", TABLES)
    assert settings.read_file(tmp_path / "harness.toml") == TABLES
    loaded = settings.load(tmp_path, env={})
    assert loaded.train == tmp_path / "A"
    assert loaded.val == Pair(
        images=tmp_path / "B/frames", masks=tmp_path / "B/labels", mask_name="{stem}_label"
    )
    assert loaded.test == {
        "kvasir seg": tmp_path / "C",
        "etis": Pair(images=tmp_path / "D/1", masks=tmp_path / "D/2"),
    }


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    write_file(tmp_path / "harness.toml", TABLES)
    env = {"HARNESS_VAL": "env", "HARNESS_TEST": os.pathsep.join(["a=env/a", "env/b", ""])}
    loaded = settings.load(tmp_path, env=env, flags={"train": Path("flag"), "test": ()})
    assert (loaded.train, loaded.val) == (tmp_path / "flag", tmp_path / "env")
    assert loaded.test == {"a": tmp_path / "env/a", "b": tmp_path / "env/b"}
    loaded = settings.load(tmp_path, env=env, flags={"test": ("x=flag",)})
    assert loaded.test == {"x": tmp_path / "flag"}


def test_a_folder_alone_is_named_as_it_is_called() -> None:
    assert parse_test_sets(["data/CVC-300", "own=x=y"]) == {"CVC-300": "data/CVC-300", "own": "x=y"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a=x", "a=y"], "two test sets are called 'a'"),
        (["x/.hidden"], "cannot name a test set"),
        (["images=x"], "is no name of a test set"),
        (["a="], "--test a=: no folder"),
        ([""], "no folder"),
    ],
)
def test_names_that_cannot_be_are_refused(given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_test_sets(given)


def test_all_faults_of_the_tables_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_text(
        'train = 3\n[val]\nimages = "x"\nmask = "y"\nmask_name = "mask"\n'
        '[test]\n"../out" = "x"\nimages = "x"\nempty = ""\n'
    )
    with pytest.raises(FaultsError) as caught:
        settings.load(tmp_path, env={})
    said = [fault.message for fault in caught.value.faults]
    assert said == [
        "train: expected a path in quotation marks, got 3",
        "val: unknown key 'mask'; expected images, masks, mask_name",
        "val.masks: expected a path in quotation marks, got 'nothing'",
        "val.mask_name: expected a name such as '{stem}_mask', got 'mask'",
        "test: '../out' cannot name a test set; expected letters, digits, space . - _ ( )",
        "test: 'images' is no name of a test set; write [test.NAME] above it",
        "test.empty: expected a path in quotation marks, got ''",
    ]


def test_a_test_set_needs_a_name_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_text('test = "x"\n')
    with pytest.raises(FaultsError, match="expected a table of names and folders"):
        settings.load(tmp_path, env={})
