from __future__ import annotations

import json

import click.testing
import pytest

from harness.cli import health
from harness.cli.doctor import command
from harness.cli.health import Check


def invoke(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, list(arguments))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What the examination finds; tests add to it."""
    checks = [Check(area="memory", name="free", found="8.0 GiB")]
    monkeypatch.setattr(health, "examine", lambda: checks)
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
