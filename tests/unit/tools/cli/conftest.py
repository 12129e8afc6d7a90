"""Every test of the command line runs without settings in its environment."""

from __future__ import annotations

import pytest

from streams.settings import Settings, env_name


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)
