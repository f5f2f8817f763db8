"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from metrics.utils.errors import UserError
from metrics.utils.files import (
    atomic_path,
    create_partial,
    publish,
    read_mapping,
    remove_stale_partials,
    unwritable,
    write_json,
    write_small,
)


@pytest.mark.parametrize("content", [None, "{", "[1]", b"\xff"])
def test_what_is_no_object_is_read_as_empty(tmp_path: Path, content: str | bytes | None) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    assert read_mapping(path) == {}

    write_json(path, {"a": [1, 2]})
    assert read_mapping(path) == {"a": [1, 2]}


def test_content_takes_the_final_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"

    write_json(path, {"a": [1, 2]})

    assert json.loads(path.read_text()) == {"a": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    with pytest.raises(RuntimeError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half of the n")
        raise RuntimeError

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(UserError, match=r"cannot write in .*taken.*another folder"):
        write_json(tmp_path / "taken" / "file.json", {})


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "folder, or"), (["--workspace"], "folder with --workspace, or"),
     (["--out", "--workspace"], "folder with --workspace or --out, or")],
)  # fmt: skip
def test_only_options_that_the_command_has_are_named(options: list[str], said: str) -> None:
    command = click.Command("train", params=[click.Option([option]) for option in options])
    with click.Context(command):
        error = unwritable(Path("folder"), OSError(errno.ENOSPC, "No space left"))
    assert f"Give another {said} make room" in error.message


def test_a_full_disk_keeps_the_small_file_that_was_there(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "new" / "a.png"
    write_small(path, b"before")
    half = Path.write_bytes

    def fill(self: Path, data: bytes) -> int:
        half(self, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(UserError, match=r"cannot write .*a\.png: No space left"):
        write_small(path, b"after")
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("a.png", b"before")]


def test_the_usual_rights_apply(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_text("")

    write_json(tmp_path / "ours", {})

    assert (tmp_path / "ours").stat().st_mode == usual.stat().st_mode


def test_a_partial_file_is_published_when_its_writer_says_so(tmp_path: Path) -> None:
    stream, temporary = create_partial(tmp_path / "p.zip")
    with stream:
        stream.write(b"content")
    assert not (tmp_path / "p.zip").exists()

    publish(temporary, tmp_path / "p.zip", replace=False)

    assert [p.name for p in tmp_path.iterdir()] == ["p.zip"]
    assert (tmp_path / "p.zip").read_bytes() == b"content"


def test_a_name_that_is_taken_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(b"old")
    for replace in (False, True):
        stream, temporary = create_partial(path)
        with stream:
            stream.write(b"new")
        if replace:
            publish(temporary, path)
            assert path.read_bytes() == b"new"
        else:
            with pytest.raises(FileExistsError):
                publish(temporary, path, replace=False)
            assert path.read_bytes() == b"old"
            temporary.unlink()


WRITER = """
import sys
from pathlib import Path
from metrics.utils.files import atomic_path, partial_folder
if sys.argv[2] == "file":
    writing = atomic_path(Path(sys.argv[1], "file.txt"))
else:
    writing = partial_folder(Path(sys.argv[1]))
with writing as temporary:
    path = temporary if temporary.is_file() else temporary / "file.txt"
    path.write_text("half of the n")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_a_killed_writer_leaves_is_removed_and_nothing_else(tmp_path: Path, what: str) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        (partial,) = tmp_path.iterdir()
        os.utime(partial, (0, 0))
        assert remove_stale_partials(tmp_path) == []  # its writer lives
    finally:
        writer.kill()
        writer.communicate()

    stream, young = create_partial(tmp_path / "other.txt")
    stream.close()
    assert remove_stale_partials(tmp_path) == [partial]
    assert list(tmp_path.iterdir()) == [young]


def test_a_file_that_the_disk_does_not_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"\.a\.json\..*\.partial"):
        write_json(tmp_path / "a.json", {})
