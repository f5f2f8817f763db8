"""Every setting, and every key of a round, is honoured by every command that takes it."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import SECTIONS, cli
from harness.config.settings import Settings
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from submissions.layout import PackageLayout
from submissions.rounds import Round

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

MARKER = "nowhere-at-all"
TRAIN = ("train", "--model", "fpn", "--preset", "demo", "--device", "cpu")
VAL, TEST = ("--split", "val"), ("--split", "test")
EVALUATE = ("evaluate", "--device", "cpu")
SUBMIT = ("submit", "--round", "2", "--device", "cpu")
VALIDATE = ("validate", "p.zip", "--round", "2")
SCORE = ("score", "p.zip", "--truth", "truth")
PREDICT = ("predict", "x.png", "--out", "masks", "--device", "cpu")
TUNE = ("tune", "fpn", *VAL, "--device", "cpu")
BUNDLE = (
    "export-evaluation", "--format", "codabench", "--round", "2", "--truth", "truth",
    "--out", "bundle",
)  # fmt: skip
OF_FRAMES = (("data", "check"), ("data", "cache"), TRAIN, (*EVALUATE, *VAL), ("report", *VAL), TUNE)

COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "endocv": OF_FRAMES,
    "hyperkvasir": (*OF_FRAMES, (*EVALUATE, *TEST), ("report", *TEST)),
    "test_frames": (("data", "check"), SUBMIT, VALIDATE),  # report: see test_a_key_of_a_round
    "train": OF_FRAMES,
    "val": OF_FRAMES,
    "test": (*OF_FRAMES, (*EVALUATE, *TEST), ("report", *TEST)),
    "splits": OF_FRAMES,
    "workspace": (
        ("data", "cache"), TRAIN, ("compare", "a", "b"), (*EVALUATE, *VAL),
        ("report", *VAL), PREDICT, ("export", "fpn", "--format", "onnx"),
        ("import-checkpoint", "x.safetensors", "--model", "fpn", "--encoder", "tu-test_resnet"),
        SUBMIT, VALIDATE, SCORE, TUNE,
        ("submissions",), ("leaderboard",),
        ("runs",), ("runs", "show", "fpn"), ("runs", "rm", "fpn"), ("runs", "sync"),
        ("runs", "import", "other"),
    ),
    "rounds": (
        SUBMIT, VALIDATE, SCORE, ("submissions",), ("leaderboard", "--round", "2"),
        ("report", "--round", "2"), ("data", "check"), BUNDLE,
    ),
    "classes": (("data", "check"), ("data", "cache"), TRAIN, SCORE),
}  # fmt: skip
"""The commands that honour each setting."""


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


@pytest.fixture
def here(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> dict[str, str]:
    """Settings of drawn frames and of a workspace with runs, in the current folder."""
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    draw.mask(tmp_path / "truth/EndoCV_DATA1/a_mask.png")
    draw.frame(tmp_path / "x.png")
    (tmp_path / "p.zip").write_bytes(b"")
    (fpn,) = (one for one in workspace.runs() if one.model == "fpn")
    (tmp_path / "x.safetensors").symlink_to(fpn.best)
    (tmp_path / "other").symlink_to(workspace.root)
    return {
        "endocv": str(draw.endocv()),
        "hyperkvasir": str(draw.hyperkvasir()),
        "test_frames": str(draw.test_frames()),
        "workspace": str(workspace.root),
    }


def write(values: dict[str, str], more: str = "") -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    Path("harness.toml").write_text("\n".join([*lines, more]))


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Settings)])
def test_a_setting_is_honoured(here: dict[str, str], draw: Drawer, key: str) -> None:
    if key in ("train", "val", "test"):
        del here["endocv"]
        here |= {"train": str(draw.pairs("own")), "val": str(draw.pairs("other", ("y1", "y2")))}
    if key == "workspace":
        Path(MARKER).write_text("a file")
    if key == "classes":
        write(here, f"[classes]\n{MARKER} = 7")
    elif key == "test":
        write(here, f'[test]\nx = "{MARKER}"')
    else:
        write(here | {key: MARKER})
    silent = [words for words in COMMANDS[key] if MARKER not in run(*words).output]
    assert silent == []


def test_no_option_of_a_setting_is_left_out() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    taken = {
        (option.name, " ".join(path))
        for name in names
        for path, command in leaves(cli.get_command(None, name), (name,))  # type: ignore[arg-type]
        for option in command.params
        if option.name in COMMANDS and name not in ("init", "demo")
    }
    tried = {(key, words_of(words)) for key, all_of in COMMANDS.items() for words in all_of}
    assert taken - tried == {("test_frames", "report")}


def leaves(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, (*path, name))


def words_of(words: tuple[str, ...]) -> str:
    return " ".join(words[:2]) if words[0] in ("data", "runs") else words[0]


ROUNDS = """
[rounds.own]
daily_limit = 1
time_zone = "Pacific/Kiritimati"
test_sets = ["A", "S2"]
release = "v77"
root = "Top"
task = ""
folders = "{test_set}"
masks = "seg-{frame}"
suffixes = [".png"]
timings = ""

[rounds.open]
daily_limit = 9
prefix = "S"
task = "T"
timings = "{test_set}.ms"
grey = true
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the commands said of the two rounds, and the names in their packages."""

    said: dict[str, str]
    names: dict[str, list[str]]


@pytest.fixture(scope="module")
def rounds(
    tmp_path_factory: pytest.TempPathFactory, enter: Callable[[Workspace, str], Run]
) -> Iterator[Outcome]:
    """Two rounds of unusual keys through every command."""
    folder = tmp_path_factory.mktemp("rounds")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HARNESS_")]:
            patch.delenv(name)
        patch.chdir(folder)
        enter(Workspace(folder / "workspace"), "fpn")
        Path("rounds.toml").write_text(ROUNDS)
        for name in ("A/images/x", "S1/y", "S2/z"):
            save(Path("frames", f"{name}.png"), np.full((40, 48, 3), 90, np.uint8))
        mask = np.zeros((40, 48), np.uint8)
        mask[10:30, 10:30] = 255
        for name in ("A/masks/seg-x", "S2/seg-z", "S1/y_mask", "S2/z_mask"):
            save(Path("truth" if "seg" in name else "open", f"{name}.png"), mask)
        said = {"init": output("init", "--rounds", "rounds.toml", "--test-frames", "frames")}
        names = {}
        for name, truth in (("own", "truth"), ("open", "open")):
            names[name], outputs = through(name, truth)
            said |= outputs
        said["check"] = output("data", "check")
        (grey,) = Path("unpacked-open").rglob("y_mask.*")
        grey.write_bytes(cv2.imencode(grey.suffix, np.full((40, 48), 90, np.uint8))[1].tobytes())
        said["grey"] = output("validate", "unpacked-open", "--round", "open")
        said["submissions"] = output("submissions", "--format", "csv")
        said["again"] = output("submit", "--round", "own", status=1)
        yield Outcome(said=said, names=names)


def through(name: str, truth: str) -> tuple[list[str], dict[str, str]]:
    """The names in a round's package, and the output of each command."""
    said = {"submit": output("submit", "--round", name, "--device", "cpu")}
    (package,) = Path("workspace/submissions", f"round-{name}").glob("*.zip")
    with zipfile.ZipFile(package) as archive:
        names = sorted(archive.namelist())
        archive.extractall(f"unpacked-{name}")
    of_round = ("--round", name)
    said |= {
        "validate": output("validate", str(package), *of_round),
        "validate-folder": output("validate", f"unpacked-{name}", *of_round),
        "score": output("score", str(package), "--truth", truth, *of_round),
        "score-folder": output("score", f"unpacked-{name}", "--truth", truth, *of_round),
        "leaderboard": output("leaderboard", *of_round),
        "report": output("report", *of_round),
    }
    return names, {f"{name}: {command}": text for command, text in said.items()}


def output(*words: str, status: int = 0) -> str:
    result = run(*words)
    assert result.exit_code == status, (words, result.output, result.exception)
    return result.output


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


HONOURED: dict[str, Callable[[Outcome], bool]] = {
    "daily_limit": lambda o: (
        "0 of 1 left" in o.said["own: submit"] and "takes 1 submission a day" in o.said["again"]
    ),
    "time_zone": lambda o: all(
        "Pacific/Kiritimati" in o.said[command]
        for command in ("own: submit", "submissions", "again")
    ),
    "test_sets": lambda o: (
        "2 masks of A, S2" in o.said["own: submit"] and "S1" not in o.said["own: score"]
    ),
    "prefix": lambda o: (
        "2 masks of S1, S2" in o.said["open: submit"]
        and "3 frames, test sets of the rounds" in o.said["init"]
        and "harness submit --round open" in o.said["init"]
        and all(name in o.said["check"] for name in ("A", "S1", "S2"))
    ),
    "release": lambda o: "v77" in o.said["submissions"],
    "root": lambda o: all(name.startswith("Top/") for name in o.names["own"]),
    "task": lambda o: all(name.startswith("EndoCV2021/T/") for name in o.names["open"]),
    "folders": lambda o: "Top/A/seg-x.png" in o.names["own"],
    "masks": lambda o: "Top/S2/seg-z.png" in o.names["own"],
    "suffixes": lambda o: {Path(name).suffix for name in o.names["own"]} == {".png"},
    "grey": lambda o: "no faults in 2 masks" in o.said["grey"],
    "timings": lambda o: (
        len(o.names["own"]) == 2 and "EndoCV2021/T/S1_pred/S1.ms" in o.names["open"]
    ),
}
"""How a key shows; that no command refuses it, and reports have pictures, holds for all."""


@pytest.mark.parametrize(
    "key",
    [f.name for f in dataclasses.fields(Round) + dataclasses.fields(PackageLayout)
     if f.name not in ("name", "layout")],
)  # fmt: skip
def test_a_key_of_a_round_is_honoured(rounds: Outcome, key: str) -> None:
    assert HONOURED[key](rounds)
    for name in ("own", "open"):
        assert "no faults in 2 masks" in rounds.said[f"{name}: validate-folder"]
        assert "2 frames in the gallery" in rounds.said[f"{name}: report"]
