"""The bundles of ``harness export-evaluation``, run as the platforms run them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import unicodedata
import venv
import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import click.testing
import cv2
import numpy as np
import pytest

from harness.cli import cli
from harness.export import pins
from metrics.endocv import FIGURES
from metrics.utils.errors import FaultsError
from submissions.layout import PackageLayout
from submissions.platforms.evaluation import PACKAGES
from submissions.platforms.jobs import inspect_jobs
from submissions.platforms.mha import write_mha
from submissions.platforms.page import SubmissionPage
from submissions.platforms.unpacked import find_submission
from submissions.scoring import score_package
from submissions.writing.package import PackageWriter

PLATFORMS = ("codabench", "grand-challenge", "evalai")
PROGRAMS = {"codabench": "scoring_program", "grand-challenge": "program"}
FOLDER = "EndoCV2021/segmentation/EndoCV_DATA1_pred"
MASK = f"{FOLDER}/a_0_mask.jpg"
SOCKET = {"slug": "mask", "relative_path": "images/mask"}

# Runs a program where only those installed packages can be imported that the bundle asks for;
# pytz is pandas 2's.
ONLY_PINNED = """
import importlib.machinery, runpy, sys
allowed = {"PIL", "click", "cv2", "dateutil", "filelock", "imageio", "lazy_loader", "networkx",
           "numpy", "packaging", "pandas", "pytz", "scipy", "skimage", "tifffile", "zlib_ng"}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if "." in name or name in allowed:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and "site-packages" in str(spec.origin):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def export(tmp_path: Path, truth_folder: Path) -> Callable[..., Path]:
    def make(platform: str, *more: object) -> Path:
        out = tmp_path / f"bundle-{platform}"
        words = ["export-evaluation", "--format", platform, "--round", "2", "--out", out]
        line = [str(word) for word in (*words, "--truth", truth_folder, *more)]
        result = click.testing.CliRunner().invoke(cli, line)
        assert result.exit_code == 0, result.output
        return out

    return make


def program_of(bundle: Path, platform: str) -> Path:
    """The program's folder, unpacked where the platform unpacks it."""
    if platform in PROGRAMS:
        return bundle / PROGRAMS[platform]
    target = bundle / "challenge"
    if not target.exists():
        shutil.unpack_archive(bundle / "evaluation_script.zip", target)
    return target


def places(bundle: Path, platform: str, package: Path, place: Path) -> tuple[list[str], Path]:
    """Lay a submission out as the platform does: the program's arguments, and its output."""
    place.mkdir()
    if platform == "evalai":
        shutil.copy(package, place / "submission.zip")
        out = place / "out" / "result.json"
        files = [bundle / "annotations" / "truth.zip", place / "submission.zip", out]
        return [str(file) for file in files], out.parent
    given = place / "input"
    unpacked = given / "res" if platform == "codabench" else given
    unpacked.mkdir(parents=True)
    if zipfile.is_zipfile(package) and package.name == "package.zip":
        with zipfile.ZipFile(package) as archive:
            archive.extractall(unpacked)
    else:  # a zip in the zip, which no platform has looked into
        shutil.copy(package, unpacked)
    reference = "reference_data" if platform == "codabench" else "ground_truth"
    out = place / "output"
    if platform == "codabench":
        shutil.copytree(bundle / reference, given / "ref")
        (unpacked / "metadata").write_text("exitCode: 0\n")
        return [str(given), str(out)], out
    return [str(given), str(bundle / reference), str(out)], out


def expected_figures(package: Path, truth: Path) -> dict[str, float]:
    """What ``harness score`` gives, under the names of a leaderboard's columns."""
    line = ["score", str(package), "--truth", str(truth), "--round", "2", "--format", "csv"]
    result = click.testing.CliRunner().invoke(cli, [*line, "--workspace", str(truth.parent / "w")])
    assert result.exit_code == 0, result.output
    found: dict[str, float] = {}
    for row in csv.DictReader(io.StringIO(result.stdout)):
        every = {"sets": "", "frames": "_frames"}[row["average"]]
        ending = every if row["test_set"] == "all" else f"_{row['test_set']}"
        found |= {f"{n}{ending}": float(row[n]) for n in ("score", "iou", "f1", "ppv", "recall")}
    return found


def snapshot(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def all_figures(result: dict[str, Any]) -> dict[str, float]:
    return result.get("aggregates") or result.get("figures") or result


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_figures_are_those_of_harness_score(
    platform: str, export, package: Path, truth_folder: Path, tmp_path: Path
) -> None:
    bundle = export(platform)
    program = program_of(bundle, platform)
    arguments, out = places(bundle, platform, package, tmp_path / "platform")
    empty = tmp_path / "empty"
    empty.mkdir()
    before = snapshot(tmp_path)
    command = [sys.executable, "-I", "-c", ONLY_PINNED, str(program / "score.py")]
    done = subprocess.run(
        [*command, *arguments], cwd=empty, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written = set(snapshot(tmp_path)) - set(before)
    assert written
    assert all(Path(name).parent == out for name in written)
    assert {name: time for name, time in snapshot(tmp_path).items() if name in before} == before

    name = {"codabench": "scores.json", "grand-challenge": "metrics.json", "evalai": "result.json"}
    figures = all_figures(json.loads((out / name[platform]).read_text()))
    expected = expected_figures(package, truth_folder)
    assert {key: figures[key] for key in expected} == expected
    if platform == "codabench":
        page = (out / "detailed_results.html").read_text()
        assert "EndoCV_DATA1/a_2" in page
        assert "[" in page
        assert "<path" not in page
        told = json.loads((out / "evaluation.json").read_text())
    else:
        told = json.loads((out / name[platform]).read_text())
    identity = told["evaluator"]
    assert identity["digest"] in (bundle / "README.md").read_text()
    assert identity["truth_sha256"] == score_package(package, truth_folder).truth_sha256
    if platform == "grand-challenge":
        scored = score_package(package, truth_folder)
        assert set(told["case"]) == set(scored.frames["frame"])
        assert set(told["case"]["EndoCV_DATA2/b_0"]) == set(FIGURES)


def zip_of(files: Mapping[str, bytes], path: Path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path.read_bytes()


def link(files: Mapping[str, bytes], path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            if name == MASK:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, b"/etc/passwd" if name == MASK else data)
    return path.read_bytes()


def png(height: int, width: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes()


Entries = dict[str, bytes]
HOSTILE: dict[str, Callable[[Entries, Path], bytes]] = {
    "no zip at all": lambda _e, _p: b"not a zip",
    "cut short": lambda e, p: zip_of(e, p)[:-40],
    "a script before it": lambda e, p: b"#!/bin/sh\n" + zip_of(e, p),
    "bytes behind it": lambda e, p: zip_of(e, p) + b"x" * 9,
    "a name that leads outside": lambda e, p: zip_of({**e, "../../a_mask.jpg": b"x"}, p),
    "an absolute name": lambda e, p: zip_of({**e, "/tmp/a_mask.jpg": b"x"}, p),
    "a name with control characters": lambda e, p: zip_of({**e, f"{FOLDER}/\x1b[2J": b"x"}, p),
    "a name of Windows": lambda e, p: zip_of({**e, f"{FOLDER}/aux.jpg": b"x"}, p),
    "a link": link,
    "a bomb": lambda e, p: zip_of({**e, MASK: b"\0" * (40 << 20)}, p),
    "a huge image": lambda e, p: zip_of({**e, MASK: png(6000, 6000)}, p),
    "a damaged image": lambda e, p: zip_of({**e, MASK: e[MASK][:60]}, p),
    "text as an image": lambda e, p: zip_of({**e, MASK: b"<svg/>"}, p),
    "a missing mask": lambda e, p: zip_of({k: v for k, v in e.items() if k != MASK}, p),
    "a mask of no frame": lambda e, p: zip_of({**e, f"{FOLDER}/z_mask.jpg": e[MASK]}, p),
    "another root": lambda e, p: zip_of({k.replace("2021", "2022"): v for k, v in e.items()}, p),
    "no times": lambda e, p: zip_of({k: v for k, v in e.items() if "time" not in k}, p),
}


def lay_out_hostile(
    bundle: Path, platform: str, entries: Entries, truth: Path, top: Path
) -> dict[str, tuple[list[str], Path, list[str]]]:
    """By kind: the program's arguments, its output and the faults that it must name."""
    found = {}
    for number, (kind, make) in enumerate(HOSTILE.items()):
        broken = top / "broken.zip"
        broken.write_bytes(make(entries, broken))
        with pytest.raises(FaultsError) as refused:
            score_package(broken, truth)
        arguments, out = places(bundle, platform, broken, top / f"platform-{number}")
        found[kind] = arguments, out, [str(fault) for fault in refused.value.faults]
    return found


def check_refusal(kind: str, platform: str, told: str, out: Path, faults: list[str]) -> None:
    for fault in faults:
        assert f"- {fault}\n" in told, kind
    assert told.splitlines()[-1].startswith("not scored, "), kind
    assert "Traceback" not in told
    left = [path.name for path in out.glob("*")]
    assert left == (["detailed_results.html"] if platform == "codabench" else []), kind
    assert not Path("/tmp/a_mask.jpg").exists()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_hostile_packages_are_refused_with_their_faults(
    platform: str, export, entries, truth_folder: Path, tmp_path: Path, capsys
) -> None:
    bundle = export(platform)
    program = program_of(bundle, platform)
    main = import_module(f"submissions.platforms.{platform.replace('-', '_')}").main
    hostile = lay_out_hostile(bundle, platform, entries, truth_folder, tmp_path)
    for kind, (arguments, out, faults) in hostile.items():
        capsys.readouterr()
        assert main(program, arguments) == 1, kind
        told = capsys.readouterr().err
        check_refusal(kind, platform, told, out, faults)
        assert str(truth_folder) not in told


# Calls a bundle's program for many submissions, so that its packages are imported once.
EACH = """
import contextlib, importlib, io, json, pathlib, sys
sys.dont_write_bytecode = True
program, platform = sys.argv[1:3]
sys.path.insert(0, program)
main = importlib.import_module(f"submissions.platforms.{platform}").main
told = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        told.append((main(pathlib.Path(program), arguments), said.getvalue()))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A Python that has a bundle's packages and no others, and no network where that is allowed."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    for name in pins.with_all_they_need(PACKAGES):
        for top in {file.parts[0] for file in metadata.files(name) or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(metadata.distribution(name).locate_file(top)))
    offline = ["unshare", "--net"]
    allowed = (
        shutil.which("unshare") and not subprocess.run([*offline, "true"], check=False).returncode
    )
    return [*(offline if allowed else []), str(place / "bin" / "python")]


def check_run_locally(command: list[str | Path], python: str) -> None:
    """A bundle's self-test passes: the expected figures, and a broken submission refused."""
    done = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the expected figures" in done.stdout
    assert "was refused" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_clean_environment_without_network_is_enough(
    platform: str, clean, export, entries, package: Path, truth_folder: Path, tmp_path: Path
) -> None:
    bundle = export(platform)
    check_run_locally([*clean[:-1], bundle / "run_locally.sh"], clean[-1])

    hostile = lay_out_hostile(bundle, platform, entries, truth_folder, tmp_path)
    good, out = places(bundle, platform, package, tmp_path / "platform")
    program = program_of(bundle, platform)
    before = snapshot(tmp_path)
    command = [*clean, "-I", "-c", EACH, str(program), platform.replace("-", "_")]
    every = json.dumps([good, *(arguments for arguments, *_ in hostile.values())])
    said = subprocess.run(command, input=every, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    (status, nothing), *refused = json.loads(said.stdout)
    assert (status, nothing) == (0, "")
    for (kind, (_, folder, faults)), (status, told) in zip(hostile.items(), refused, strict=True):
        assert status == 1, kind
        check_refusal(kind, platform, told, folder, faults)
    written = set(snapshot(tmp_path)) - set(before)
    assert {Path(name).parent for name in written} <= {out, *(f for _, f, _ in hostile.values())}
    name = {"codabench": "scores.json", "grand-challenge": "metrics.json", "evalai": "result.json"}
    figures = all_figures(json.loads((out / name[platform]).read_text()))
    expected = expected_figures(package, truth_folder)
    assert {key: figures[key] for key in expected} == expected


def test_a_fault_of_ours_is_not_shown(export, package: Path, tmp_path: Path, capsys) -> None:
    bundle = export("codabench")
    arguments, out = places(bundle, "codabench", package, tmp_path / "platform")
    truth = Path(arguments[0]) / "ref" / "EndoCV_DATA1" / "a_0_mask.png"
    truth.write_bytes(b"broken")
    main = import_module("submissions.platforms.codabench").main
    assert main(program_of(bundle, "codabench"), arguments) == 1
    told = capsys.readouterr().err + (out / "detailed_results.html").read_text()
    assert "a_0" not in told
    assert "tell the organisers" in told


def test_frames_are_drawn_with_their_outlines_where_they_may_be_shown(
    export, package: Path, sizes, tmp_path: Path
) -> None:
    (tmp_path / "frames" / "EndoCV_DATA2").mkdir(parents=True)
    height, width = sizes["EndoCV_DATA2"]["b_1"]
    image = np.full((height, width, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "frames" / "EndoCV_DATA2" / "b_1.png"), image)
    bundle = export("codabench", "--frames", tmp_path / "frames")
    arguments, out = places(bundle, "codabench", package, tmp_path / "platform")
    main = import_module("submissions.platforms.codabench").main
    assert main(program_of(bundle, "codabench"), arguments) == 0
    page = (out / "detailed_results.html").read_text()
    assert page.count("<figure>") == 1
    assert '<path class="truth" d="M' in page
    assert '<path class="mask" d="M' in page


def write_jobs(folder: Path, masks, change: Callable[[list[dict[str, Any]]], object]) -> None:
    jobs: list[dict[str, Any]] = []
    for names in masks.values():
        for name, mask in names.items():
            place = folder / f"j{len(jobs)}" / "output" / "images" / "mask"
            place.mkdir(parents=True)
            (place / "output.mha").write_bytes(write_mha(mask.astype(np.uint8)))
            image = {"image": {"name": f"{name}.png"}, "socket": {"slug": "frame"}}
            jobs.append({"pk": f"j{len(jobs)}", "inputs": [image], "outputs": [{"socket": SOCKET}]})
    change(jobs)
    (folder / "predictions.json").write_text(json.dumps(jobs))


def test_the_jobs_of_an_algorithm_are_scored_like_a_package(
    export, masks, package: Path, truth_folder: Path, tmp_path: Path, capsys
) -> None:
    bundle = export("grand-challenge")
    main = import_module("submissions.platforms.grand_challenge").main
    program, truth = program_of(bundle, "grand-challenge"), str(bundle / "ground_truth")

    def run(name: str, change: Callable[[list[dict[str, Any]]], object]) -> tuple[int, str]:
        folder = tmp_path / name
        write_jobs(folder, masks, change)
        status = main(program, [str(folder), truth, str(tmp_path / f"{name}-out")])
        return status, capsys.readouterr().err

    assert run("good", lambda jobs: jobs.reverse())[0] == 0
    result = json.loads((tmp_path / "good-out" / "metrics.json").read_text())
    expected = expected_figures(package, truth_folder)
    assert {key: result["aggregates"][key] for key in expected} == expected

    def spoil(jobs: list[dict[str, Any]]) -> None:
        jobs[0]["pk"] = "../j0"
        jobs[1]["inputs"][0]["image"]["name"] = "nobody.png"
        jobs[2]["inputs"][0]["image"]["name"] = "b_0.png"
        other = tmp_path / "bad" / "j4" / "output" / "images" / "mask" / "output.mha"
        header = b"NDims = 2\nDimSize = 30 64\nElementType = MET_UCHAR\n"
        other.write_bytes(header + b"ElementDataFile = /etc/passwd\n")

    status, told = run("bad", spoil)
    assert status == 1
    assert not (tmp_path / "bad-out").exists()
    for fault in (
        "a_0: its output image has '..' in its name",
        "nobody: no frame of the round has this image's name",
        "b_0: a second job for this frame",
        "EndoCV_DATA1/a_1: the mask of this frame is missing",
        "its pixels are in another file",
    ):
        assert fault in told
    (tmp_path / "good" / "predictions.json").write_text("{}")
    assert main(program, [str(tmp_path / "good"), truth, str(tmp_path / "none")]) == 1


def test_folders_that_a_platform_removed_are_put_before_the_names_again(
    export, package: Path, tmp_path: Path
) -> None:
    bundle = export("grand-challenge")
    main = import_module("submissions.platforms.grand_challenge").main
    given, unpacked = tmp_path / "input", tmp_path / "unpacked"
    shutil.unpack_archive(package, unpacked)
    for part in ("EndoCV2021/segmentation", "EndoCV2021"):
        shutil.copytree(unpacked / part, given)
        out = tmp_path / part.replace("/", "-")
        arguments = [str(given), str(bundle / "ground_truth"), str(out)]
        assert main(program_of(bundle, "grand-challenge"), arguments) == 0
        shutil.rmtree(given)


def test_removed_folders_that_are_called_alike_are_told_apart(tmp_path: Path, masks) -> None:
    layout = PackageLayout(root="results", task="results", timings="")
    mask = masks["EndoCV_DATA1"]["a_0"]
    with PackageWriter(tmp_path / "p.zip", layout=layout) as writer:
        writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=1)
    shutil.unpack_archive(tmp_path / "p.zip", tmp_path / "whole")
    sizes = {"EndoCV_DATA1": {"a": mask.shape}}
    for given in ("whole", "whole/results", "whole/results/results"):
        _, inspect = find_submission(tmp_path / given, sizes, layout, ())
        assert inspect().faults() == []


def test_a_round_of_another_layout_has_a_bundle_that_passes_its_self_test(
    masks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = tmp_path / "rounds.toml"
    rounds.write_text(
        "[rounds.'a $(b) \"c\"']\ndaily_limit = 3\nprefix = 'set'\nroot = 'Other 😀'\ntask = ''\n"
        "folders = '{test_set}'\nmasks = '{frame}'\nsuffixes = ['.png']\ntimings = ''\n"
    )
    (tmp_path / "truth" / "set1" / "masks").mkdir(parents=True)
    mask = masks["EndoCV_DATA1"]["a_0"] * np.uint8(255)
    cv2.imwrite(str(tmp_path / "truth" / "set1" / "masks" / "x.png"), mask)
    (tmp_path / "harness.toml").write_text("[classes]\npolyp = 255\ntool = 100\n")
    monkeypatch.chdir(tmp_path)
    for platform in ("codabench", "grand-challenge"):
        out = tmp_path / platform
        words = ("--format", platform, "--round", 'a $(b) "c"', "--rounds", rounds, "--out", out)
        line = ["export-evaluation", *words, "--truth", tmp_path / "truth"]
        result = click.testing.CliRunner().invoke(cli, [str(word) for word in line])
        assert result.exit_code == 0, result.output
        given, program = tmp_path / f"{platform}-in", out / PROGRAMS[platform]
        unpacked = given / "res" if platform == "codabench" else given
        if platform == "codabench":
            shutil.unpack_archive(out / "self_test" / "package.zip", unpacked)
            shutil.copytree(out / "self_test" / "truth", given / "ref")
            arguments = [str(given), str(tmp_path / "scores")]
        else:
            shutil.copytree(out / "self_test" / "input", given)
            arguments = [str(given), str(out / "self_test" / "truth"), str(tmp_path / "scores")]
        main = import_module(f"submissions.platforms.{platform.replace('-', '_')}").main
        assert main(program, arguments) == 0
        name = "scores.json" if platform == "codabench" else "metrics.json"
        found = all_figures(json.loads((tmp_path / "scores" / name).read_text()))
        assert found == json.loads((out / "self_test" / "expected.json").read_text())
    check_run_locally([tmp_path / "codabench" / "run_locally.sh"], sys.executable)
    assert 'NAME="other-round-a-b-c"' in (tmp_path / "grand-challenge" / "do_save.sh").read_text()


def test_run_locally_passes(export, tmp_path: Path) -> None:
    command = [export("evalai") / "run_locally.sh"]
    check_run_locally(command, os.path.relpath(sys.executable))


@pytest.mark.slow
def test_run_locally_passes_whatever_suffix_a_round_names_first(export, tmp_path: Path) -> None:
    rounds = tmp_path / "rounds.toml"
    rounds.write_text("[rounds.2]\ndaily_limit = 2\nsuffixes = ['.tif', '.jpg']\n")
    bundle = export("codabench", "--rounds", rounds)
    check_run_locally([bundle / "run_locally.sh"], sys.executable)


def test_bad_requests_are_told(export, package: Path, truth_folder: Path, tmp_path: Path) -> None:
    def told(*words: object) -> str:
        line = ["export-evaluation", "--round", "2", "--truth", truth_folder, *words]
        result = click.testing.CliRunner().invoke(cli, [str(word) for word in line])
        assert result.exit_code != 0
        return result.output

    out = export("grand-challenge")
    assert "is there already" in told("--format", "grand-challenge", "--out", out)
    new = ("--out", tmp_path / "new")
    assert "goes with --format codabench" in told("--format", "evalai", "--image", "x", *new)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / f"numpy-{metadata.version('numpy')}-py3-none-any.whl").touch()
    message = told("--format", "codabench", "--wheels", wheels, *new)
    assert "scipy==" in message
    assert "numpy==" not in message
    assert not (tmp_path / "new").exists()
    assert {"numpy", "scipy", "python-dateutil"} <= set(pins.with_all_they_need(PACKAGES))
    assert "torch" not in pins.with_all_they_need(PACKAGES)


def test_a_zip_in_the_zip_is_found_beside_what_a_mac_adds(package: Path, sizes, tmp_path) -> None:
    given = tmp_path / "given"
    (given / "__MACOSX").mkdir(parents=True)
    shutil.copy(package, given)
    found, _ = find_submission(given, sizes, PackageLayout(), ("metadata",))
    assert found == given / package.name


def test_the_image_of_a_job_is_known_however_its_accents_are_encoded(tmp_path: Path) -> None:
    image = {"image": {"name": unicodedata.normalize("NFD", "é.png")}}
    jobs = [{"pk": "../j", "inputs": [image], "outputs": [{"socket": SOCKET}]}]
    (tmp_path / "predictions.json").write_text(json.dumps(jobs))
    report = inspect_jobs(tmp_path, {"s": {"é": (4, 4)}}, PackageLayout(), lambda _: None)
    (fault,) = report.faults()
    assert "its output image has '..' in its name" in str(fault)


def test_a_page_has_a_dash_where_a_figure_is_undefined(package: Path, truth_folder: Path) -> None:
    scored = score_package(package, truth_folder, "strict")
    empty = scored.frames.assign(tp=0, fp=0, fn=0)
    html = SubmissionPage(title="t", frames=empty, protocol="strict", resamples=100).html()
    assert "<td>-</td>" in html
    assert "nan" not in html
