from __future__ import annotations

import errno
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click.testing
import pytest
import torch

from harness.cli import doctor
from harness.cli.doctor import Check, command


def invoke(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, list(arguments))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What the examination finds; tests add to it."""
    checks = [Check(area="memory", name="free", found="8.0 GiB")]
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    return checks


def test_a_sound_machine_is_0(found: list[Check]) -> None:
    result = invoke()
    assert result.exit_code == 0
    assert "8.0 GiB" in result.stdout
    assert "all is well" in result.stderr


def test_a_warning_is_0_and_counted(found: list[Check]) -> None:
    found.append(Check(area="network", name="hub", status="warning", found="no", advice="do this"))
    result = invoke()
    assert result.exit_code == 0
    assert "do this" in result.stdout
    assert "1 warning" in result.stderr


def test_a_fault_is_1(found: list[Check]) -> None:
    found.append(Check(area="disk", name="workspace", status="fault", found="full", advice="room"))
    result = invoke()
    assert result.exit_code == 1
    assert "1 fault " in result.stderr


def test_json_is_for_machines(found: list[Check]) -> None:
    rows = json.loads(invoke("--format", "json").stdout)["rows"]
    assert rows == [
        {"area": "memory", "name": "free", "status": "ok", "found": "8.0 GiB", "advice": ""}
    ]


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A hub on this machine; the list holds the status that it answers with."""
    answers = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("answer", "status"), [(200, "ok"), (405, "ok"), (503, "warning")])
def test_a_hub_that_answers(hub: list[int], answer: int, status: str) -> None:
    hub[0] = answer
    (check,) = doctor.network()
    assert check.status == status
    assert bool(check.advice) == (status != "ok")


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (check,) = doctor.network()
    assert check.status == "warning"
    assert "no answer" in check.found
    assert "--encoder-weights none" in check.advice


def test_offline_is_a_choice_and_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (check,) = doctor.network()
    assert "HF_HUB_OFFLINE" in check.found


def test_settings_that_are_missing_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = by_name(doctor.folders())
    assert found["endocv"].status == "warning"
    assert "harness init --endocv DIR" in found["endocv"].advice
    assert found["splits"].status == "ok"
    assert found["workspace"].status in ("ok", "warning")


def test_a_folder_that_is_not_there_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HYPERKVASIR", "nowhere")
    check = by_name(doctor.folders())["hyperkvasir"]
    assert check.status == "fault"
    assert "nowhere is not there" in check.found
    assert "HARNESS_HYPERKVASIR" in check.advice


def test_folders_of_ones_own_take_the_place_of_the_challenges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("harness.toml").write_text(
        'train = "."\n[val]\nimages = "."\nmasks = "no"\n[test]\nmine = "nowhere"\n'
    )
    found = [check for check in doctor.folders() if check.area == "settings"]
    assert not [check.name for check in found if check.status == "warning"]
    faults = {check.name: check.advice for check in found if check.status == "fault"}
    assert list(faults) == ["val", "test mine"]
    assert faults["test mine"] == "Correct --test mine, HARNESS_TEST or harness.toml."


def test_broken_settings_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text("endocv = ")
    (check,) = doctor.folders()
    assert check.status == "fault"
    assert "harness init --force" in check.advice


def test_a_workspace_that_is_a_file_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("HARNESS_WORKSPACE", "taken")
    check = by_name(doctor.folders())["workspace"]
    assert check.status == "fault"
    assert "--workspace" in check.advice


def test_a_nearly_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "DISK", 2**62)
    check = by_name(doctor.folders())["workspace"]
    assert check.status == "warning"
    assert "Make room" in check.advice


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MEMORY", 2**62)
    monkeypatch.setattr(doctor, "SHARED_MEMORY", 2**62)
    assert {check.status for check in doctor.memory()} <= {"warning"}


def test_versions_and_the_cpu_are_always_listed() -> None:
    assert "Python" in by_name(doctor.software())
    assert "cores" in by_name(doctor.devices())["cpu"].found


def test_caches_are_said_and_never_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_WORKSPACE", str(tmp_path))
    (tmp_path / "cache").mkdir()
    empty = by_name(doctor.caches())
    (tmp_path / "cache/frames.bin").write_bytes(bytes(2**29))
    full = by_name(doctor.caches())

    assert empty["frames"].found.endswith("empty")
    assert "0.5 GiB" in full["frames"].found
    assert "se_resnext50_32x4d" in full["weights"].found
    assert {check.status for check in full.values()} == {"ok"}


def test_a_folder_without_access_is_a_fault_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refuse(path: Path, **how: bool) -> os.stat_result:
        if "locked" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setenv("HARNESS_ENDOCV", str(tmp_path / "locked/endocv"))
    monkeypatch.setenv("HARNESS_WORKSPACE", str(tmp_path / "locked/workspace"))

    found = by_name(doctor.folders())

    assert found["endocv"].status == "fault"
    assert "without access" in found["endocv"].found
    assert "workspace" in found


def test_a_file_that_leaves_the_cache_meanwhile_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    file = tmp_path / "cache/frames.bin"
    file.touch()

    stat = Path.stat

    def and_gone(path: Path, **how: bool) -> os.stat_result:
        status = stat(path, **how)
        if path == file:
            file.unlink()
        return status

    monkeypatch.setattr(Path, "stat", and_gone)
    monkeypatch.setenv("HARNESS_WORKSPACE", str(tmp_path))
    assert by_name(doctor.caches())["frames"].found.endswith("empty")


def test_each_card_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def card(index: int) -> SimpleNamespace:
        capability = {"major": 9 - 3 * index, "minor": index}
        return SimpleNamespace(name=f"Card {index}", total_memory=80 * doctor.GIB, **capability)

    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90", "sm_120"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", card)

    found = by_name(doctor.devices())

    assert found["cuda:0"].found == "Card 0, 80.0 GiB"
    assert found["cuda:0"].status == "ok"
    assert found["cuda:1"].found == "Card 1, 80.0 GiB, of compute capability 6.1"
    assert found["cuda:1"].status == "warning"
    assert "--device cpu" in found["cuda:1"].advice


@pytest.mark.parametrize(
    ("capability", "built", "expected"),
    [
        ((8, 6), ["sm_75", "sm_80"], True),
        ((7, 0), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_75", "sm_90"], False),
        ((12, 0), ["sm_75", "sm_90", "compute_90"], True),
        ((10, 3), ["sm_100", "sm_120"], True),
        ((9, 0), ["gfx90a"], True),
    ],
)
def test_code_runs_on_later_cards_of_its_generation(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str], expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    assert doctor._is_built_for(*capability) == expected


def test_a_driver_that_is_too_old_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def card(_index: int) -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # by NVML, which needs no CUDA
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_properties", card)
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    check = by_name(doctor.devices())["cuda"]

    assert check.status == "warning"
    assert check.advice == "Update the driver for CUDA 13.0."


def test_a_read_only_workspace_is_a_warning_and_a_folder_that_cannot_be_made_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    for name, status in (("", "warning"), ("new", "fault")):
        monkeypatch.setenv("HARNESS_WORKSPACE", str(tmp_path / name))
        (check,) = (one for one in doctor.folders() if one.name == "workspace")
        assert check.status == status
        assert "--workspace" in check.advice
