"""`takk settings` and `takk dead-letters`: secrets stay hidden, and nothing is republished by accident."""

from __future__ import annotations

import pytest

from streams.settings import Settings, env_name
from tests.unit.tools.cli.runner import run

SECRET = "a-secret-that-is-long-enough"


def test_invalid_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid variable is reported by name, without a traceback."""
    monkeypatch.setenv("TAKK_PARTITIONS", "many")
    code, output = run("settings")
    assert code == 1
    assert "TAKK_PARTITIONS" in output


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`takk settings` prints every variable, and no secret."""
    monkeypatch.setenv("TAKK_MAIL_SECRET", SECRET)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://user:{SECRET}@registry")
    code, output = run("settings")
    assert code == 0
    assert SECRET not in output
    assert all(f"{env_name(field)}=" in output for field in Settings.model_fields)


def test_replay_needs_a_selection() -> None:
    """Without a selection, nothing is replayed."""
    code, output = run("dead-letters", "replay")
    assert code == 2
    assert "--all" in output
