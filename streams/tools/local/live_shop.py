"""The simulated shop and the recipients of its emails, in real time on a Kafka that is already running.

It needs no packages but those of production, so it also runs in the image.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from confluent_kafka import Producer

from streams.runtime.avro.codec import Codec
from streams.settings import DAY_S, Settings
from streams.tools.local import api_client
from streams.tools.local.api_client import ApiClient
from streams.tools.local.recipients.email_events import EmailEvents, SentEmails
from streams.tools.local.shop.shop import Shop
from streams.wire.codec import codec_of

#: Seconds that a shop without an end is open.
YEAR_S = 365 * DAY_S
#: One of so many customers has a shop that sends its records to the JSON API. All records of a customer go the same way, in their order.
API_SHARE = 4
#: Seconds to wait at the end until the broker has all records.
FLUSH_S = 10.0


def run(settings: Settings, *, seconds: float | None, rate: float, seed: int) -> int:
    """Open the shop until it closes or Ctrl-C, and return the number of orders that it placed.

    Args:
        settings: the connection to Kafka, and the length of a day.
        seconds: how long the shop is open; None until Ctrl-C.
        rate: orders per second.
        seed: selects the customers, the orders and the reactions.
    """
    codec = codec_of(settings)
    shop = Shop(seed, rate, settings.day_scale_seconds, has_receipts=True)
    recipients = EmailEvents(settings.kafka(), codec, SentEmails(), shop)
    recipients.start()
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(open_shop(shop, codec, settings.kafka(), seconds))
    finally:
        recipients.stop()
    return shop.placed


async def open_shop(
    shop: Shop, codec: Codec, kafka: Mapping[str, Any], seconds: float | None, api: ApiClient | None = None
) -> None:
    """Produce the shop's catalogue, and each of its records at its time, until `seconds` have passed.

    Args:
        shop: the customers, orders and parcels.
        codec: encodes the records.
        kafka: librdkafka settings of the cluster.
        seconds: how long the shop is open; None for a year.
        api: takes all records of some customers, in place of Kafka.
    """
    producer = Producer({**kafka, "partitioner": "murmur2_random", "linger.ms": 5})

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        if api is not None and topic in api_client.ENDPOINTS and crc32(key) % API_SHARE == 0:
            api.send(topic, record)
            return
        producer.produce(topic, codec.encode(schema, record), key)
        producer.poll(0)

    for record in shop.catalogue(datetime.now(UTC)):
        produce(*record)
    try:
        await shop.run(produce, seconds if seconds is not None else YEAR_S)
    finally:
        producer.flush(FLUSH_S)
        if api is not None:
            await asyncio.to_thread(api.close)
