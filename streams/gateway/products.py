"""The shop's products for the pages: the compacted topic `products`, as a global table.

The records stay encoded in memory, about a kilobyte each, and are decoded when a page shows them. So applying them takes the event loop little
time, also while a shop publishes its whole catalogue. Pages show products while the topic is still being read, or while Kafka is away.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from streams.agents.global_tables.global_table import GlobalTable, Partition, TableView
from streams.core.offers.catalogue import Product
from streams.runtime.errors import InvalidRecord, RegistryUnavailable
from streams.runtime.state.restore import changelog_reader
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

#: Seconds to wait for the thread at the stop. While Kafka is away, one request may take half a minute.
STOP_TIMEOUT_S = 5.0


class ProductRecords(TableView):
    """The newest record of each product.

    Args:
        bounds: as in `TableView`.

    Attributes:
        values: sku, in UTF-8 -> the encoded product.
    """

    def __init__(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        super().__init__(bounds)
        self.values: dict[bytes, bytes] = {}

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply the record of a product. A record without a value removes it."""
        if key is None:
            return
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class ProductTable:
    """The products of the shop. Use it in one event loop.

    Args:
        kafka: librdkafka settings of the cluster.
        decoder: decodes the records.
        prepare: as in `GlobalTable`.
        open_reader: as in `GlobalTable`.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        decoder: Decoder,
        prepare: Callable[[Sequence[Any], threading.Event], None] = lambda records, stop: None,
        open_reader: Callable[[Mapping[str, Any], str], Any] = changelog_reader,
    ) -> None:
        self._decoder = decoder
        self._records: ProductRecords | None = None
        self._table = GlobalTable(kafka, (topics.PRODUCTS,), self._make_view, open_reader, prepare)
        self._reading: asyncio.Task[ProductRecords] | None = None

    def _make_view(self, bounds: Mapping[Partition, tuple[int, int]]) -> ProductRecords:
        self._records = ProductRecords(bounds)
        return self._records

    def get(self, sku: str) -> Product | None:
        """Return a product; None: it is unknown (yet), or its record is invalid."""
        value = self._records.values.get(sku.encode()) if self._records is not None else None
        if value is None:
            return None
        try:
            product = self._decoder.product(value)
        except InvalidRecord as error:
            log.warning(
                "invalid catalogue record ignored", topic=topics.PRODUCTS, reason=error.reason, detail=error.detail
            )
        except RegistryUnavailable as error:
            log.error("cannot read a product", error=error)
        else:
            return product if product.sku == sku else None
        return None

    def start(self) -> None:
        """Follow the topic, which exists. Errors are logged where they occur, and leave the products as they are."""
        self._reading = asyncio.create_task(self._table.view(), name="takk-gateway-products")

    async def stop(self) -> None:
        """Stop following."""
        if self._reading is not None:
            await self._table.stop(STOP_TIMEOUT_S)
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
