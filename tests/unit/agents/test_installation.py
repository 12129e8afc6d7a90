"""An app id belongs to one installation: the first one writes its name, and another one is refused."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from streams.agents import installation as module
from streams.agents.installation import check_installation
from streams.settings import load_settings


class Topic:
    """The topic of installations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_overtaken: bool = False) -> None:
        self.values: dict[bytes, bytes] = {}
        self.is_overtaken = is_overtaken
        monkeypatch.setattr(module, "ensure_topics", lambda *arguments: [])
        monkeypatch.setattr(module, "publish", self.publish)
        monkeypatch.setattr(module, "read_newest", lambda kafka, topic, key, **more: self.values.get(key))

    def publish(self, kafka: object, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the records; if it is overtaken, another installation writes directly afterwards."""
        self.values.update(records)
        if self.is_overtaken:
            self.values = dict.fromkeys(self.values, b"faster")


def check(installation: str | None, *, is_taken_over: bool = False) -> None:
    """Check as a process of `installation` does."""
    check_installation(load_settings(installation=installation), is_taken_over)


def test_the_first_installation_keeps_its_app_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes of an installation start, another one is refused with the remedy, and replaces the first with --take-over."""
    topic = Topic(monkeypatch)
    for _ in range(2):
        check("production")
    assert topic.values == {b"takk": b"production"}
    with pytest.raises(
        SystemExit, match=r"'production' uses TAKK_APP_ID=takk.*TAKK_INSTALLATION is 'trial'.*--take-over"
    ):
        check("trial")
    check("trial", is_taken_over=True)
    assert topic.values == {b"takk": b"trial"}


def test_without_a_name_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is optional."""
    topic = Topic(monkeypatch)
    check(None)
    assert topic.values == {}


def test_of_two_installations_that_start_together_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest record counts, also for the one that wrote before."""
    Topic(monkeypatch, is_overtaken=True)
    with pytest.raises(SystemExit, match="'faster' uses"):
        check("slower")
