"""Tests that need a program which is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.prometheus import require_program


def test_a_missing_program_skips_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason of the skip says how to install the program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install prometheus"):
        require_program("prometheus", "prometheus")


def test_a_missing_program_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With CI=true nothing is skipped silently."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install prometheus"):
        require_program("prometheus", "prometheus")
