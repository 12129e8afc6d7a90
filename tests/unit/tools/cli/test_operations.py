"""`takk settings` and `takk dead-letters`: secrets stay hidden, and nothing is republished by accident."""

from __future__ import annotations

import pytest

from streams.settings import Settings, env_name
from tests.unit.tools.cli.runner import run

SECRET = "a-secret-that-is-long-enough"


def test_wrong_settings_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable ends the command with its name, not with a stack of calls."""
    monkeypatch.setenv("TAKK_PARTITIONS", "many")
    code, output = run("settings")
    assert code == 1
    assert "TAKK_PARTITIONS" in output


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`takk settings` shows every variable, and no secret."""
    monkeypatch.setenv("TAKK_MAIL_SECRET", SECRET)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://user:{SECRET}@registry")
    code, output = run("settings")
    assert code == 0
    assert SECRET not in output
    assert all(f"{env_name(field)}=" in output for field in Settings.model_fields)


def test_replay_wants_to_know_which() -> None:
    """Nothing is published again by accident."""
    code, output = run("dead-letters", "replay")
    assert code == 2
    assert "--all" in output
