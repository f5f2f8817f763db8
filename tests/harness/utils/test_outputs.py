"""Files of others are kept, those of a command belong together."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from harness.utils.outputs import MANIFEST, Outputs
from metrics.utils.errors import FaultsError


def write(folder: Path, text: str, *, overwrite: bool = False, names: str = "abc") -> None:
    outputs = Outputs(folder)
    outputs.check(names, overwrite=overwrite)
    with outputs.staged(last="c") as staging:
        for name in names:
            (staging / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name[0] != "."}


def test_own_files_are_replaced_and_changed_ones_are_not(tmp_path: Path) -> None:
    write(tmp_path, "1")
    write(tmp_path, "2")
    (tmp_path / "b").write_text("corrected by hand")
    with pytest.raises(FaultsError, match="did not write it as it is now") as refused:
        write(tmp_path, "3")
    assert [fault.path for fault in refused.value.faults] == [str(tmp_path / "b")]
    assert contents(tmp_path) == {"a": "2", "b": "corrected by hand", "c": "2"}
    write(tmp_path, "3", overwrite=True)
    assert contents(tmp_path) == {"a": "3", "b": "3", "c": "3"}


def test_what_an_earlier_command_left_is_removed_unless_it_was_changed(tmp_path: Path) -> None:
    write(tmp_path, "1", names="abcd")
    (tmp_path / "b").write_text("corrected by hand")
    (tmp_path / "e").write_text("never ours")
    outputs = Outputs(tmp_path)
    with outputs.staged(last="c") as staging:
        (staging / "c").write_text("2")

    outputs.remove_left("[!d]")

    assert contents(tmp_path) == {
        "b": "corrected by hand", "c": "2", "d": "1", "e": "never ours",
    }  # fmt: skip
    assert "2 files of earlier commands stay" in outputs.left()


@pytest.mark.parametrize("kind", ["itself", "another spelling", "symbolic link", "hard link"])
def test_a_source_is_never_replaced(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "a"
    source.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    if kind == "symbolic link":
        (out / "a").symlink_to(source)
    elif kind == "hard link":
        (out / "a").hardlink_to(source)
    else:
        out = tmp_path if kind == "itself" else tmp_path / "out" / ".."
    with pytest.raises(FaultsError, match="one of the files to read"):
        Outputs(out).check(["a"], overwrite=True, sources=[source])


def test_a_source_is_known_where_capitals_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "IMG.PNG").write_text("mine")
    with suppress(FileExistsError):  # where capitals do not count already
        (tmp_path / "IMG.png").hardlink_to(tmp_path / "IMG.PNG")
    with pytest.raises(FaultsError, match="one of the files to read"):
        Outputs(tmp_path).check(["IMG.png"], overwrite=True, sources=[tmp_path / "IMG.PNG"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_what_is_no_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")  # as a terminal does, it gives nothing to read until one writes
    for overwrite in (True, False):
        with pytest.raises(FaultsError, match="found a device"):
            Outputs(tmp_path).check(["a"], overwrite=overwrite)


def test_a_folder_in_the_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FaultsError, match="found a folder"):
        write(tmp_path, "1", overwrite=True)


KILLED = """
import os, sys
from pathlib import Path
from harness.utils.outputs import MANIFEST, Outputs
calls = []
def counted(method, name):
    def call(self, *arguments, **more):
        is_ours = self.parent == Path(sys.argv[1]) and self.suffix != ".lock"
        if is_ours or name == "replace" and "harness-" in str(self):
            calls.append(name)
            if len(calls) == int(sys.argv[2]):
                os.kill(os.getpid(), 9)
        return method(self, *arguments, **more)
    return call
Path.unlink, Path.replace = counted(Path.unlink, "unlink"), counted(Path.replace, "replace")
with Outputs(Path(sys.argv[1])).staged(last="c") as staging:
    for name in "abc":
        (staging / name).write_text("2")
"""


@pytest.mark.parametrize("step", [4, 7, 8])
def test_a_killed_process_leaves_no_mixture(tmp_path: Path, step: int) -> None:
    write(tmp_path, "1")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(step)], check=False)
    assert killed.returncode == -9
    left = contents(tmp_path)
    assert len(set(left.values())) == 1
    assert "c" not in left
    write(tmp_path, "3")
    assert contents(tmp_path) == {"a": "3", "b": "3", "c": "3"}


def test_commands_that_write_at_once_all_enter_their_files(tmp_path: Path) -> None:
    names = [f"model-{number}.onnx" for number in range(8)]

    def record(name: str) -> None:
        (tmp_path / name).write_text(name)
        Outputs(tmp_path).record([name])

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(record, names))

    Outputs(tmp_path).check(names, overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, *names]


def test_two_commands_that_end_at_once_leave_the_files_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Thread(target=write, args=(tmp_path, "2"))
    replace = Path.replace

    def replace_and_let_the_other_try(path: Path, target: Path) -> Path:
        found = replace(path, target)
        if target.name == "a" and not other.ident:
            other.start()
            other.join(0.5)
        return found

    monkeypatch.setattr(Path, "replace", replace_and_let_the_other_try)
    write(tmp_path, "1")
    other.join()
    assert contents(tmp_path) == {"a": "2", "b": "2", "c": "2"}
