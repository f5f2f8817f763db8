from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from harness.cli import health
from harness.cli.health import Check


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
    (check,) = health.network()
    assert check.status == status
    assert bool(check.advice) == (status != "ok")


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (check,) = health.network()
    assert check.status == "warning"
    assert "no answer" in check.found
    assert "--encoder-weights none" in check.advice


def test_offline_is_a_choice_and_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (check,) = health.network()
    assert "HF_HUB_OFFLINE" in check.found


def test_settings_that_are_missing_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = by_name(health.folders())
    assert found["endocv"].status == "warning"
    assert "harness init --endocv DIR" in found["endocv"].advice
    assert found["splits"].status == "ok"
    assert found["workspace"].status in ("ok", "warning")


def test_a_folder_that_is_not_there_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HYPERKVASIR", "nowhere")
    check = by_name(health.folders())["hyperkvasir"]
    assert check.status == "fault"
    assert "nowhere is not there" in check.found
    assert "HARNESS_HYPERKVASIR" in check.advice


def test_broken_settings_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text("endocv = ")
    (check,) = health.folders()
    assert check.status == "fault"
    assert "harness init --force" in check.advice


def test_a_workspace_that_is_a_file_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("HARNESS_WORKSPACE", "taken")
    check = by_name(health.folders())["workspace"]
    assert check.status == "fault"
    assert "--workspace" in check.advice


def test_a_nearly_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(health, "DISK", 2**62)
    check = by_name(health.folders())["workspace"]
    assert check.status == "warning"
    assert "Make room" in check.advice


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MEMORY", 2**62)
    monkeypatch.setattr(health, "SHARED_MEMORY", 2**62)
    assert {check.status for check in health.memory()} <= {"warning"}


def test_versions_and_the_cpu_are_always_listed() -> None:
    assert "Python" in by_name(health.software())
    assert "cores" in by_name(health.devices())["cpu"].found


def test_caches_are_said_and_never_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_WORKSPACE", str(tmp_path))
    (tmp_path / "cache").mkdir()
    empty = by_name(health.caches())
    (tmp_path / "cache/frames.bin").write_bytes(bytes(2**29))
    full = by_name(health.caches())

    assert empty["frames"].found.endswith("empty")
    assert "0.5 GiB" in full["frames"].found
    assert "se_resnext50_32x4d" in full["weights"].found
    assert {check.status for check in full.values()} == {"ok"}


def test_each_card_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def card(index: int) -> SimpleNamespace:
        return SimpleNamespace(name=f"Card {index}", total_memory=80 * health.GIB)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", card)

    found = {check.name: check.found for check in health.devices()}

    assert found["cuda:0"] == "Card 0, 80.0 GiB"
    assert found["cuda:1"] == "Card 1, 80.0 GiB"
