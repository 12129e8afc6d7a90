"""The catalogue agent: keeps the index of products, and notifies customers of changes of products that they wish for or bought.

Each partition compares the newest version of its products with the one that it stored. A change, its walk over the customers, their events
and the new version are one transaction each, so that a crash at any point neither loses a change nor repeats it. It compares versions and
not records: a product that was sold out again before the comparison was never back in stock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

from streams.agents.global_tables.product_versions import ProductVersions
from streams.agents.instrumentation import Instrumentation
from streams.agents.zeros import zero_product_changes
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.offers.product_changes import SAME_TIME, Change, ProductVersion
from streams.core.offers.product_index import (
    Entry,
    Interest,
    ProductIndex,
    change_key,
    customer_of,
    decode_entry,
    encode_entry,
    interests_of,
    is_notified,
)
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.guard import Changes
from streams.runtime.processing.walks import Walks
from streams.runtime.state.store import PartitionStore
from streams.wire import topics

#: Products that one batch compares at most: some 20 ms of work.
COMPARED = 1_000


class Catalogue:
    """The work of one partition besides its records: versions to compare, and walks over interested customers.

    Args:
        partition: the partition number.
        store: the partition's restored store.
        rate: the customers that are notified per second, at most.
        view: returns the versions of all products, or None until they are read.
    """

    def __init__(
        self, partition: int, store: PartitionStore, rate: int, view: Callable[[], ProductVersions | None]
    ) -> None:
        self.store = store
        self.walks = Walks(store, rate)
        self._partition = partition
        self._view = view
        self._change = -1
        self._waiting: deque[ProductVersion] = deque()

    def is_due(self, now_ms: int) -> bool:
        """Return whether versions are to be compared, or customers to be notified."""
        view = self._view()
        return (view is not None and view.change > self._change) or bool(self._waiting) or self.walks.is_due(now_ms)

    def next_versions(self) -> list[ProductVersion]:
        """Return the next versions to compare."""
        view = self._view()
        if view is not None and not self._waiting and view.change > self._change:
            self._waiting.extend(view.changed_since(self._partition, self._change))
            self._change = view.change
        return [self._waiting.popleft() for _ in range(min(COMPARED, len(self._waiting)))]

    def start_walk(self, batch: Batch[Any], change: Change) -> None:
        """Start the walk that notifies customers of a change. It replaces a running walk about an earlier change of the same kind."""
        self.end_walk(batch, change)
        lower, upper = interests_of(change.about)
        self.walks.start(batch, _walk_of(change), lower=lower, upper=upper, payload=encode_entry(change))

    def end_walk(self, batch: Batch[Any], change: Change) -> None:
        """End the walk about the product and of the kind of a change, if it runs: the change no longer holds for the remaining customers."""
        if _walk_of(change) in self.walks.running:
            self.walks.end(batch, _walk_of(change))


def _walk_of(change: Change) -> str:
    return change_key(change).decode()


class _Entries:
    """The entries of a partition, as the index reads and changes them in a batch."""

    def __init__(self, changes: Batch[Any] | Changes, store: PartitionStore) -> None:
        self._store = store
        self.get: Callable[[bytes], Entry | None] = changes.get
        self.put: Callable[[bytes, Entry | None], None] = changes.put

    def changes(self, lower: bytes, upper: bytes) -> Iterator[Change]:
        """Yield the stored changes in a range of keys."""
        for _, raw in self._store.items(lower, upper):
            entry = decode_entry(raw)
            if isinstance(entry, Change):
                yield entry


def register(
    app: App,
    instrumentation: Instrumentation,
    kinds: Collection[str],
    rate: int,
    fetch_versions: Callable[[], Awaitable[ProductVersions]],
    together: timedelta = SAME_TIME,
) -> Any:
    """Add the catalogue agent to `app`.

    Args:
        app, instrumentation: of the process.
        kinds: the kinds of changes by which flows start.
        rate: the customers that are notified per second on each partition, at most.
        fetch_versions: returns the versions of all products once they are read.
        together: products that the catalogue first had within this time came together.
    """
    encode = instrumentation.encoder.effects.product_change
    reading: list[asyncio.Future[ProductVersions]] = []

    def view() -> ProductVersions | None:
        return reading[0].result() if reading and reading[0].done() else None

    def open_catalogue(partition: int, store: PartitionStore) -> Catalogue:
        return Catalogue(partition, store, rate, view)

    def is_own(batch: Batch[Any], sku: str) -> bool:
        return bool(sku) and partition_of(sku.encode(), app.partitions) == batch.partition

    def note(batch: Batch[Catalogue], record: Any, changes: Changes) -> list[ProducerRecord]:
        interest = instrumentation.decoder.interest(record.value())
        key = interest.sku.encode()
        if key != record.key() or not is_own(batch, interest.sku):
            raise Misrouted(key)
        now = utc_from_ms(batch.now_ms)
        index = ProductIndex(_Entries(changes, batch.task.context.store), now, kinds)
        return [encode(event, now) for event in index.note(interest)]

    def notify(batch: Batch[Any], payload: bytes, key: bytes, raw: bytes) -> None:
        change, interest = decode_entry(payload), decode_entry(raw)
        if isinstance(change, Change) and isinstance(interest, Interest) and is_notified(change, interest):
            batch.send(*encode(change.event_of(customer_of(key)), utc_from_ms(batch.now_ms)))

    def compare(batch: Batch[Catalogue]) -> None:
        context = batch.task.context
        index = ProductIndex(_Entries(batch, context.store), utc_from_ms(batch.now_ms), kinds, together)
        for version in context.next_versions():
            found: list[Change] = []
            if is_own(batch, version.sku):
                found += index.compare(version)
                for change in index.outdated(version.sku):
                    context.end_walk(batch, change)
            if is_own(batch, version.replaces):
                found += index.compare_replacement(version)
            for change in found:
                context.start_walk(batch, change)
                metrics.PRODUCT_CHANGES.labels(change.kind).inc()

    zero_product_changes(kinds)
    stage = instrumentation.stage(
        "catalogue",
        (topics.INTERESTS,),
        table="product-index",
        encode=encode_entry,
        decode=decode_entry,
        is_too_new=UnknownVersion,
        open=open_catalogue,
        is_due=Catalogue.is_due,
    )

    @app.stage(stage)
    async def catalogue(batches: AsyncIterator[Batch[Catalogue]]) -> None:
        if not reading:
            # The interests are stored meanwhile.
            reading.append(asyncio.ensure_future(fetch_versions()))
        async for batch in batches:
            batch.task.context.walks.step(batch, notify)
            batch.apply_changes(lambda record, changes, batch=batch: note(batch, record, changes))  # type: ignore[misc]
            compare(batch)
            await batch.commit()

    return catalogue
