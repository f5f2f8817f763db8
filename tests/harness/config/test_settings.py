from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import settings
from harness.config.write_settings import write_file
from metrics.utils.errors import FaultsError, UserError


def write(folder: Path, text: str) -> None:
    (folder / "harness.toml").write_text(text, encoding="utf-8")


def test_nothing_set_leaves_the_default_workspace(tmp_path: Path) -> None:
    loaded = settings.load(tmp_path, env={})
    assert loaded == settings.Settings(workspace=tmp_path / "workspace")


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'endocv = "file"\nhyperkvasir = "file"\ntest_frames = "file"\n')
    env = {"HARNESS_ENDOCV": "env", "HARNESS_HYPERKVASIR": "env", "HARNESS_WORKSPACE": "env"}
    flags = {"endocv": Path("flag"), "hyperkvasir": None}
    loaded = settings.load(tmp_path, flags=flags, env=env)
    assert loaded.endocv == tmp_path / "flag"
    assert loaded.hyperkvasir == tmp_path / "env"
    assert loaded.test_frames == tmp_path / "file"
    assert loaded.workspace == tmp_path / "env"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    write(tmp_path, 'endocv = "file"\n')
    assert settings.load(tmp_path, env={"HARNESS_ENDOCV": ""}).endocv == tmp_path / "file"


def test_paths_are_absolute_and_keep_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    loaded = settings.load(tmp_path, flags={"endocv": "sub/../link", "rounds": "/r.toml"}, env={})
    assert loaded.endocv == tmp_path / "link"
    assert loaded.rounds == Path("/r.toml")


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    loaded = settings.load(tmp_path, flags={"endocv": "~/data"}, env={})
    assert loaded.endocv == tmp_path / "home" / "data"
    unknown = settings.load(tmp_path, flags={"endocv": "~nobody-of-this-name/data"}, env={})
    assert unknown.endocv == tmp_path / "~nobody-of-this-name" / "data"


def test_a_folder_above_is_not_searched(tmp_path: Path) -> None:
    write(tmp_path, 'endocv = "file"\n')
    (tmp_path / "inner").mkdir()
    assert settings.load(tmp_path / "inner", env={}).endocv is None


def test_unknown_settings_and_wrong_values_are_named_together(tmp_path: Path) -> None:
    write(tmp_path, 'endo_cv = "x"\nhyperkvasir = 3\nworkspace = ""\n')
    with pytest.raises(FaultsError) as caught:
        settings.load(tmp_path, env={})
    messages = [fault.message for fault in caught.value.faults]
    assert len(messages) == 3
    assert "did you mean 'endocv'?" in messages[0]
    assert "hyperkvasir: expected a path in quotation marks, got 3" in messages[1]
    assert "workspace" in messages[2]


@pytest.mark.parametrize("content", [b"endocv = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "harness.toml").write_bytes(content)
    with pytest.raises(UserError, match="is not TOML"):
        settings.load(tmp_path, env={})


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").mkdir()
    with pytest.raises(UserError, match="cannot read"):
        settings.load(tmp_path, env={})


def test_missing_settings_name_themselves_and_both_ways_on() -> None:
    with pytest.raises(UserError) as caught:
        settings.Settings(hyperkvasir=Path("h")).require("endocv", "hyperkvasir", "test_frames")
    text = caught.value.message
    for part in ("--endocv", "HARNESS_TEST_FRAMES", "harness init", "harness demo"):
        assert part in text
    assert "--hyperkvasir" not in text


def test_what_is_set_is_returned_in_order() -> None:
    loaded = settings.Settings(endocv=Path("e"), hyperkvasir=Path("h"))
    assert loaded.require("hyperkvasir", "endocv") == (Path("h"), Path("e"))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    values = {"endocv": 'C:\\data "x" \x7f\t\u00e9', "workspace": "results"}
    write_file(tmp_path / "harness.toml", values)
    assert settings.read_file(tmp_path / "harness.toml") == values
    assert [path.name for path in tmp_path.iterdir()] == ["harness.toml"]


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no valid text"):
        write_file(tmp_path / "harness.toml", {"endocv": "a\udcff"})
    assert not list(tmp_path.iterdir())


def test_classes_are_a_table_of_mask_values(tmp_path: Path) -> None:
    values = {"workspace": "out", "classes": {"polyp": 255, "surgical tool": 128}}
    write_file(tmp_path / "harness.toml", values)
    assert settings.read_file(tmp_path / "harness.toml") == values
    classes = settings.load(tmp_path, env={}).classes
    assert (classes.names, classes.values) == (("polyp", "surgical tool"), (255, 128))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('classes = ["polyp"]', "expected a table of names and mask values"),
        ("[classes]\n", "expected 1 to 254 classes, got 0"),
        ("[classes]\npolyp = 255\ntool = 255", "value 255 is given to more than one class"),
    ],
)
def test_impossible_classes_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "harness.toml").write_text(text)
    with pytest.raises(FaultsError, match=said):
        settings.load(tmp_path, env={})


def test_a_table_on_one_line_that_takes_no_other_is_written_anew(tmp_path: Path) -> None:
    write(tmp_path, 'test = { a = "x" }\n')
    values = {"test": {"a": "x", "b": {"images": "i", "masks": "m"}}}
    assert write_file(tmp_path / "harness.toml", values) == tmp_path / "harness.toml.bak"
    assert settings.read_file(tmp_path / "harness.toml") == values


def test_a_link_to_nothing_is_no_missing_file(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").symlink_to("nowhere.toml")
    with pytest.raises(UserError, match="No such file"):
        settings.read_file(tmp_path / "harness.toml")
