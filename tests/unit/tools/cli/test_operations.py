"""`takk settings` and `takk dead-letters`: secrets stay hidden, and nothing is republished by accident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from msgspec.structs import replace

from streams.settings import Settings, env_name
from streams.tools.cli.options import Since
from streams.tools.operations.dead_letters import DeadLetter
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
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"https://user:{SECRET}@registry")
    code, output = run("settings")
    assert code == 0
    assert SECRET not in output
    assert all(f"{env_name(field)}=" in output for field in Settings.model_fields)


def test_replay_needs_a_selection() -> None:
    """Without a selection, nothing is replayed."""
    code, output = run("dead-letters", "replay")
    assert code == 2
    assert "--all" in output


def test_a_cut_record_is_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The complete records are replayed, the others are named with the reason, and the exit code is 1."""
    complete = DeadLetter(
        topic="orders", partition=0, offset=1, key=b"k", value=b"v", headers=(), reason="not_avro", detail="", stage="flows",
        failed_at=datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    cut = replace(complete, offset=2, value_bytes=9_000_000)
    replayed: list[DeadLetter] = []

    def replay(settings: Settings, letters: list[DeadLetter]) -> int:
        replayed.extend(letters)
        return len(letters)

    monkeypatch.setattr("streams.tools.operations.doctor.broker", lambda settings: "")
    monkeypatch.setattr("streams.tools.operations.dead_letters.read", lambda settings, since: [complete, cut])
    monkeypatch.setattr("streams.tools.operations.dead_letters.replay", replay)
    monkeypatch.setattr("streams.tools.operations.erasures.read_erasures", lambda settings, on_progress: {})
    code, output = run("dead-letters", "replay", "--all")
    assert (code, replayed) == (1, [complete])
    assert "1 record replayed." in output
    assert "cannot replay orders/0/2: the dead letter has only 1 of 9,000,000 bytes of its value." in output
    code, output = run("dead-letters", "replay", "orders/0/1")
    assert (code, output) == (0, "1 record replayed.\n")


def test_times_in_the_past() -> None:
    """A time is a duration before now, or a time in UTC unless it names its zone; it is not before 1970."""
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for text in ("2026-03-02T09:00", "2026-03-02 10:00+01:00", "2026-03-02T09:00:00Z"):
        assert Since().convert(text, None, None) == at
    for text, length in (("90s", timedelta(seconds=90)), ("2h", timedelta(hours=2)), ("3d", timedelta(days=3))):
        before = datetime.now(UTC)
        assert before - length <= Since().convert(text, None, None) <= datetime.now(UTC) - length
    assert (
        Since().convert("90000d", None, None)
        == Since().convert("0001-01-01", None, None)
        == datetime(1970, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2 h", "-2h", "999999d", "2026-13-01", "9999999999h"])
def test_invalid_times(text: str) -> None:
    """Anything else is a usage error that shows valid times."""
    with pytest.raises(click.BadParameter, match="use for example 30m"):
        Since().convert(text, None, None)
