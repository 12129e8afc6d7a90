"""The app: what it hands to Faust."""

from __future__ import annotations

from pathlib import Path

from streams.runtime.app import App


def test_several_brokers_are_all_known_to_the_membership(tmp_path: Path) -> None:
    """A cluster is named by several servers; Faust's consumer gets each of them, not one address that is none."""
    app = App("app", {}, brokers="kafka://a:1;kafka://b:2", partitions=1, state_dir=tmp_path)
    assert [str(url) for url in app.faust.transport.url] == ["kafka://a:1", "kafka://b:2"]


def test_the_membership_never_ends_for_want_of_reading(tmp_path: Path) -> None:
    """Takk's own reader reads, so aiokafka never does; it must not leave the group for that as long as the process lives."""
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert app.faust.conf.broker_max_poll_interval > 50 * 365 * 86_400
