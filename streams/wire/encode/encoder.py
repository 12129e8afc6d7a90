"""The encoder of every topic that Takk writes."""

from __future__ import annotations

from datetime import datetime

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.addresses import AddressEncoder
from streams.wire.encode.effects import EffectEncoder
from streams.wire.encode.envelope import Envelope
from streams.wire.encode.handovers import HandoverEncoder
from streams.wire.encode.heartbeats import HeartbeatEncoder
from streams.wire.encode.journal import JournalEncoder
from streams.wire.encode.products import ProductEncoder
from streams.wire.encode.reports import ReportEncoder


class Encoder:
    """Encodes what the stages write: `effects`, `reports` of the mailer, the `journal`, `products`,
    `addresses`, `handovers` and `heartbeats`.

    Args:
        codec: the codec of the schemas, see `streams.wire.codec.open_codec`.
        source: the writer, for the CloudEvents header `ce_source`.
    """

    def __init__(self, codec: Codec, source: str = "/takk") -> None:
        envelope = self._envelope = Envelope(codec, source)
        self.addresses = AddressEncoder(codec, envelope)
        self.handovers = HandoverEncoder(codec, envelope)
        self.effects = EffectEncoder(codec, envelope, self.addresses, self.handovers)
        self.reports = ReportEncoder(codec, envelope, self.effects)
        self.journal = JournalEncoder(codec, envelope)
        self.products = ProductEncoder(envelope)
        self.heartbeats = HeartbeatEncoder(envelope)

    def published_templates(self, app_id: str, version: str, by: str, at: datetime) -> ProducerRecord:
        """Encode which version of the templates folder the processes of an app use. `at` is the present, UTC."""
        record = {"version": version, "published_by": by, "published_at": at}
        event_id = f"{app_id}/{version}/{at.isoformat(timespec='milliseconds')}"
        return self._envelope.record(topics.PUBLISHED_TEMPLATES, "published_templates", app_id, event_id, record, at)

    def clock_probe(self, host: str, now: datetime) -> ProducerRecord:
        """Encode the record with which a process on `host` asks for the broker's time. `now` is its own clock, UTC."""
        event_id = f"{host}@{now.isoformat(timespec='milliseconds')}"
        return self._envelope.record(topics.CLOCK_PROBES, "heartbeat", host, event_id, {"due_at": now}, now)
