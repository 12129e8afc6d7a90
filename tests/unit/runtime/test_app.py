"""The app: what it hands to Faust."""

from __future__ import annotations

from pathlib import Path

from faust import stores

from streams.runtime.app import App
from streams.runtime.faust_adapter.store import Store


def test_several_brokers_are_all_known_to_the_membership(tmp_path: Path) -> None:
    """A cluster is named by several servers; Faust's consumer gets each of them, not one address that is none."""
    app = App("app", {}, brokers="kafka://a:1;kafka://b:2", partitions=1, state_dir=tmp_path)
    assert [str(url) for url in app.faust.transport.url] == ["kafka://a:1", "kafka://b:2"]


def test_the_membership_never_ends_for_want_of_reading(tmp_path: Path) -> None:
    """Takk's own reader reads, so aiokafka never does; it must not leave the group for that as long as the process lives."""
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert app.faust.conf.broker_max_poll_interval > 50 * 365 * 86_400


def test_faust_finds_the_store(tmp_path: Path) -> None:
    """The entry point `takk-rocksdb` is Takk's store; a wrong one would fail only when a worker starts.

    After the entry point changes in pyproject.toml, run `pip install -e . --no-deps --no-build-isolation`.
    """
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert stores.by_url(app.faust.conf.store) is Store
