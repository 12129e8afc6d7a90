"""The assortment as a global table: the catalogue and the sales counts of two compacted topics."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from streams.agents.global_tables.global_table import Partition, TableView
from streams.core.offers.assortment import Assortment
from streams.observability import metrics
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.products import parse_counts_key
from streams.wire.encode.products import counts_key

log = structlog.get_logger(__name__)

TOPICS = (topics.PRODUCTS, topics.POPULARITY)


class AssortmentTable(TableView):
    """An assortment that is built from records.

    Args:
        decoder: decodes the records.
        bounds: as in `TableView`.
    """

    def __init__(self, decoder: Decoder, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        super().__init__(bounds)
        self.assortment = Assortment()
        self._decoder = decoder

    def on_caught_up(self) -> None:
        """Set the gauges."""
        metrics.CATALOGUE_PRODUCTS.set(len(self.assortment.catalogue))
        metrics.POPULARITY_PRODUCTS.set(len(self.assortment.popularity))
        metrics.CATALOGUE_READ.set_to_current_time()

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply a product or counts. An invalid record is counted and logged."""
        try:
            if key is None:
                raise InvalidRecord("bad_id", "the record has no key")
            text = key.decode()
            if topic == topics.PRODUCTS:
                self._put_product(text, value)
            else:
                self._put_counts(text, value)
        except UnicodeDecodeError:
            self._report_invalid(topic, "bad_id", "the key is not UTF-8")
        except InvalidRecord as error:
            self._report_invalid(topic, error.reason, error.detail)

    # An invalid record removes the product or counts of its key: after the next compaction a restart would find only that record.

    def _put_product(self, sku: str, value: bytes | None) -> None:
        catalogue = self.assortment.catalogue
        try:
            product = None if value is None else self._decoder.product(value)
            if product is not None and product.sku != sku:
                raise InvalidRecord("bad_id", "the key is not the record's sku")
        except InvalidRecord:
            catalogue.remove(sku)
            raise
        if product is None:
            catalogue.remove(sku)
        else:
            catalogue.put(product)

    def _put_counts(self, key: str, value: bytes | None) -> None:
        popularity, (sku, partition) = self.assortment.popularity, parse_counts_key(key)
        try:
            counts = None if value is None else self._decoder.counts(value)
            if counts is not None and counts_key(counts.sku, counts.partition) != key:
                raise InvalidRecord("bad_id", "the key is not the record's sku and partition")
        except InvalidRecord:
            popularity.remove(sku, partition)
            raise
        if counts is None:
            popularity.remove(sku, partition)
        else:
            popularity.put(counts)

    def _report_invalid(self, topic: str, reason: str, detail: str) -> None:
        metrics.CATALOGUE_REFUSED.labels(topic, reason).inc()
        log.warning("invalid catalogue record ignored", topic=topic, reason=reason, detail=detail)
