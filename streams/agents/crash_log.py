"""The crash log: the topic `crash-notes`, on which each process publishes what its predecessor was computing when it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import KafkaException

from streams.runtime.avro.codec import Codec
from streams.runtime.errors import InvalidRecord
from streams.runtime.isolation.crashes import Crashes, with_note
from streams.runtime.isolation.isolation import Isolation
from streams.runtime.isolation.note import forget_notes, read_notes
from streams.runtime.kafka.publishing import publish
from streams.runtime.kafka.retry import is_away
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.wire import topics
from streams.wire.decode.crash_notes import decode_crashes
from streams.wire.encode.crash_notes import encode_crashes

if TYPE_CHECKING:
    from streams.runtime.app import App  # it imports Faust, which the gateway does not need

log = structlog.get_logger(__name__)


class KafkaCrashLog:
    """The crash log on its topic.

    Args:
        kafka: librdkafka settings of the cluster.
        codec: encodes and decodes the records.
        group_id: the consumer group that the broker sees. No offsets are committed under it.
        topic: the topic.
    """

    def __init__(self, kafka: Mapping[str, Any], codec: Codec, group_id: str, topic: str = topics.CRASH_NOTES) -> None:
        self._kafka = dict(kafka)
        self._codec = codec
        self._group_id = group_id
        self._topic = topic

    def read(self) -> dict[tuple[str, int], Crashes]:
        """Return the crashes of each (stage, partition).

        Raises:
            KafkaException, TimeoutError: the topic cannot be read.
        """
        found: dict[tuple[str, int], Crashes] = {}
        for message in read_to_the_end(self._kafka, [self._topic], group_id=self._group_id):
            try:
                crashes = decode_crashes(self._codec, message.value() or b"")
            except InvalidRecord:
                log.warning("invalid record ignored", topic=self._topic, offset=message.offset())
                continue
            found[crashes.stage, crashes.partition] = crashes
        return found

    def publish(self, crashes: Iterable[Crashes]) -> None:
        """Publish the crashes of tasks, and wait until the broker has them.

        Raises:
            KafkaException, TimeoutError: a record was not accepted.
        """
        publish(self._kafka, self._topic, [encode_crashes(self._codec, each) for each in crashes])


def report_crashes(crash_log: KafkaCrashLog, folder: Path, now_ms: int) -> None:
    """Publish the crashes that the notes in `folder` show, and delete the notes. Call it before the process joins its group.

    Args:
        crash_log: the log of the group.
        folder: the notes of the process that ran here before.
        now_ms: when this process started, in milliseconds since 1970. A second call with the same time counts no crash again.

    Raises:
        KafkaException, TimeoutError: the log cannot be read or written; the notes are kept.
    """
    notes = list(read_notes(folder))
    if notes:
        before = crash_log.read()
        found = [(before.get((note.stage, note.partition)), note) for note in notes]
        crashes = [with_note(known, note, now_ms) for known, note in found if known is None or known.at_ms != now_ms]
        crash_log.publish(crashes)
        for each in crashes:
            place = each.suspect
            topic, (first, last) = next(iter(each.ranges.items()))
            log.error(
                "the process ended while it computed records",
                stage=each.stage,
                partition=each.partition,
                topic=place.topic if place else topic,
                offset=place.offset if place else None,
                first=first,
                last=last,
                count=each.count,
                attempts=each.suspect_count,
                hint="if a single record ends the process again, it becomes a dead letter with the reason crashed",
            )
    forget_notes(folder)


def isolate(app: App, kafka: Mapping[str, Any], codec: Codec, group_id: str, now_ms: int) -> None:
    """Report the crashes of the process that ran here before, and isolate records that end the process from now on.

    Args:
        app: the process, which has not joined its group.
        kafka: librdkafka settings of the cluster.
        codec: encodes and decodes the crash log.
        group_id: the consumer group with which the broker sees the reader of the crash log.
        now_ms: when this process started, in milliseconds since 1970.

    Raises:
        KafkaException, TimeoutError: the broker is away.
    """
    crash_log = KafkaCrashLog(kafka, codec, group_id)
    notes = app.state_dir / "crash-notes"
    try:
        report_crashes(crash_log, notes, now_ms)
    except (KafkaException, TimeoutError) as error:
        if is_away(error):
            raise
        log.error("the crashes of the last process could not be published", error=error)
    app.task_manager.isolation = Isolation(crash_log, notes)
