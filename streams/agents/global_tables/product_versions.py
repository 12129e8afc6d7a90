"""The newest version of each product as a global table, for the catalogue agent. It notes which products have changed since a position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog

from streams.agents.global_tables.global_table import Partition, TableView
from streams.core.offers.product_changes import ProductVersion, version_of
from streams.runtime.errors import InvalidRecord
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

TOPICS = (topics.PRODUCTS,)


class ProductVersions(TableView):
    """The versions, by the partition that compares them. A product that is deleted, or whose record is invalid, keeps its last version.

    Args:
        decoder: decodes the records.
        partitions: the number of partitions of the other topics.
        bounds: as in `TableView`.

    Attributes:
        versions: sku -> version.
        change: the number of the newest change.
    """

    def __init__(self, decoder: Decoder, partitions: int, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        super().__init__(bounds)
        self.versions: dict[str, ProductVersion] = {}
        self.change = 0
        self._decoder = decoder
        self._partitions = partitions
        self._offset = 0
        #: Partition -> sku -> the number of its newest change, the newest last.
        self._changed: list[dict[str, int]] = [{} for _ in range(partitions)]

    def apply(self, messages: Iterable[Any]) -> None:
        """Apply records as `TableView.apply`, each with its offset."""
        for message in messages:
            self._offset = message.offset()
            super().apply((message,))

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply a product. The mailer counts invalid records; here they are only logged."""
        if key is None or value is None:
            return
        try:
            product, updated_at = self._decoder.dated_product(value)
        except InvalidRecord as error:
            log.warning("invalid product ignored", reason=error.reason, detail=error.detail)
            return
        if product.sku.encode() != key:
            log.warning("invalid product ignored", reason="bad_id", detail="the key is not the record's sku")
            return
        version = version_of(product, updated_at, self._offset)
        self.versions[version.sku] = version
        self.change += 1
        for sku in {version.sku, version.replaces} - {""}:
            changed = self._changed[partition_of(sku.encode(), self._partitions)]
            changed.pop(version.sku, None)
            changed[version.sku] = self.change

    def changed_since(self, partition: int, change: int) -> Iterator[ProductVersion]:
        """Yield the products of a partition that have changed after a number, the newest first.

        They are those whose own sku, or whose older version's, belongs to the partition.
        """
        for sku, number in reversed(self._changed[partition].items()):
            if number <= change:
                return
            yield self.versions[sku]
