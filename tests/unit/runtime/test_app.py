"""The app: its settings of Faust."""

from __future__ import annotations

from pathlib import Path

from faust import stores

from streams.runtime.app import App
from streams.runtime.faust_adapter.store import Store


def test_the_group_membership_uses_all_brokers(tmp_path: Path) -> None:
    """Faust's consumer gets the address of every broker, not one invalid address."""
    app = App("app", {}, brokers="kafka://a:1;kafka://b:2", partitions=1, state_dir=tmp_path)
    assert [str(url) for url in app.faust.transport.url] == ["kafka://a:1", "kafka://b:2"]


def test_the_worker_stays_in_the_group_without_reads(tmp_path: Path) -> None:
    """aiokafka reads no records, because Takk's fetcher does; it must not leave the group for that reason."""
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert app.faust.conf.broker_max_poll_interval > 50 * 365 * 86_400


def test_faust_finds_the_store(tmp_path: Path) -> None:
    """The entry point `takk-rocksdb` is Takk's store. A wrong entry point would fail only when a worker starts.

    After the entry point changes in pyproject.toml, run `pip install -e . --no-deps --no-build-isolation`.
    """
    app = App("app", {}, brokers="kafka://a:1", partitions=1, state_dir=tmp_path)
    assert stores.by_url(app.faust.conf.store) is Store
