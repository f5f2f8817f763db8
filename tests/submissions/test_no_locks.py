"""The register in a folder whose file system has no locks: read, and not written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from submissions.database import FILE_NAME, Register, insert

SOURCE = Path(__file__).with_name("no_locks.c")
RUN = {
    "run": "unet-1", "model": "unet", "status": "finished", "created": "2026", "settings": {},
    "versions": {},
}  # fmt: skip
READ = """
import sys
from pathlib import Path
from submissions.database import Register, insert
with Register(Path(sys.argv[1])).read() as connection:
    print([row["run"] for row in connection.execute("SELECT run FROM runs")])
try:
    with Register(Path(sys.argv[1])).write() as connection:
        print("written")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Refuses locks in the processes that load it."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("needs Linux and a C compiler")
    path = tmp_path_factory.mktemp("no_locks") / "no_locks.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(path), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return path


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
@pytest.mark.parametrize("is_open", [False, True])
def test_it_is_read_and_a_write_is_refused_with_a_reason(
    tmp_path: Path, library: Path, number: int, is_open: bool
) -> None:
    with Register(tmp_path).write() as connection:
        insert(connection, "runs", RUN)
    if is_open:  # so that there is a WAL file
        with Register(tmp_path).read() as connection:
            connection.execute("SELECT * FROM runs").fetchall()
    before = sorted(path.name for path in tmp_path.iterdir())
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment |= {"NO_LOCKS_UNDER": str(tmp_path.resolve()), "NO_LOCKS_ERRNO": str(number)}

    command = [sys.executable, "-c", READ, str(tmp_path)]
    said = subprocess.check_output(command, env=environment, text=True, timeout=20)

    assert said.startswith("['unet-1']\nUserError the file system of ")
    assert "no file locks" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_nothing_is_left_in_a_new_folder(tmp_path: Path, library: Path) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment |= {"NO_LOCKS_UNDER": str(tmp_path.resolve()), "NO_LOCKS_ERRNO": "37"}

    said = subprocess.check_output(
        [sys.executable, "-c", READ, str(tmp_path)], env=environment, text=True, timeout=20
    )

    assert said.startswith("[]\nUserError")
    assert not (tmp_path / FILE_NAME).exists()
