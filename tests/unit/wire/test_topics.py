"""The retention of the topics: the defaults, the setting, and what it must not break."""

from __future__ import annotations

import pytest

from streams.runtime.kafka.topic_admin import TopicMismatch
from streams.wire import topics
from streams.wire.topics import DAY_MS, DEAD_LETTERS, LETTER_SOURCES, TOPICS, changelog_spec, specs


def days(retention: str) -> dict[str, int | None]:
    """Return the days of each topic with this setting."""
    return {spec.name: spec.retention_ms // DAY_MS if spec.retention_ms else None for spec in specs(retention)}


def test_without_the_setting_the_defaults_hold() -> None:
    """The topics are those of the table, and dead letters are kept no longer than any of their sources."""
    assert specs() == TOPICS
    assert min(value for name, value in days("").items() if name in LETTER_SOURCES and value) == days("")[DEAD_LETTERS]


def test_a_retention_is_set_by_topic() -> None:
    """The setting changes the topics that it names, and no other."""
    changed = days("orders=400, flow-decisions=30")
    assert {name: value for name, value in changed.items() if value != days("")[name]} == {
        "orders": 400,
        "flow-decisions": 30,
    }


@pytest.mark.parametrize(("retention", "letters"), [("shipments=7", 7), ("dead-letters=3", 3), ("dead-letters=90", 30)])
def test_dead_letters_are_never_older_than_their_source(retention: str, letters: int) -> None:
    """A shorter retention of a source shortens that of dead letters, and a longer one of theirs has no effect."""
    assert days(retention)[DEAD_LETTERS] == letters


@pytest.mark.parametrize(
    "retention", ["customers=30", "discount-codes=30", "elsewhere=30", "email-commands=31", "email-withdrawals=29"]
)
def test_a_retention_that_breaks_something_is_refused(retention: str) -> None:
    """Compacted, permanent and unknown topics have no retention; the ledger covers commands of 30 days; withdrawals outlive commands."""
    with pytest.raises(TopicMismatch, match=retention.partition("=")[0]):
        specs(retention)


def test_topics_with_people_are_compacted_soon() -> None:
    """The broker compacts topics of people and every changelog within a week, so that erased data goes although nothing else is written."""
    compacted = [spec for spec in TOPICS if spec.name in (topics.CUSTOMERS, topics.CUSTOMER_PAGES)]
    for spec in (
        *compacted,
        changelog_spec("takk-flows-customers-changelog"),
        changelog_spec("takk-mailer-sends-changelog"),
    ):
        config = spec.settings()
        assert int(config["max.compaction.lag.ms"]) == 7 * DAY_MS
        assert int(config.get("min.compaction.lag.ms", 0)) < 7 * DAY_MS
