"""The published version of the templates folder: written, and compared with a folder."""

from __future__ import annotations

from datetime import datetime

from confluent_kafka import KafkaException

from streams.definitions.layers import read_snapshot
from streams.runtime.errors import InvalidRecord
from streams.runtime.kafka.publishing import publish
from streams.runtime.kafka.topic_reader import read_newest
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import codec_of
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.published_templates import PublishedTemplates
from streams.wire.encode.encoder import Encoder


def publish_templates(settings: Settings, version: str, by: str, at: datetime) -> None:
    """Publish a version of the templates folder to all processes of the app.

    Args:
        settings: the settings.
        version: the version of the folder, see `definitions/layers.py`.
        by: who or what publishes it.
        at: the present, UTC.

    Raises:
        KafkaException, TimeoutError: the record was not accepted.
    """
    record = Encoder(codec_of(settings)).published_templates(settings.app_id, version, by, at)
    publish(settings.kafka(), record.topic, [(record.key, record.value)])


def read_published(settings: Settings) -> PublishedTemplates | None:
    """Return the published version, or None if none was published.

    Raises:
        KafkaException, TimeoutError: the topic cannot be read.
        InvalidRecord: its record is invalid.
    """
    value = read_newest(
        settings.kafka(),
        topics.PUBLISHED_TEMPLATES,
        settings.app_id.encode(),
        group_id=settings.reader_group_id,
        partition=0,
    )
    return None if value is None else Decoder(codec_of(settings)).published_templates(value)


class NotPublished(Exception):
    """A folder that is not the published version, or a version that cannot be read. The text says what to do."""


def describe_version(settings: Settings) -> str:
    """Return the version of the templates folder, for people.

    Raises:
        NotPublished: another version is published, or the folder or the topic cannot be read.
    """
    try:
        version, published = read_snapshot(settings.templates_dir).version, read_published(settings)
    except OSError as error:
        raise NotPublished(f"cannot read {error.filename}: {error.strerror}") from error
    except KafkaException as error:
        raise NotPublished(f"cannot read the topic {topics.PUBLISHED_TEMPLATES}: {error.args[0].str()}") from error
    except (InvalidRecord, TimeoutError) as error:
        raise NotPublished(f"cannot read the topic {topics.PUBLISHED_TEMPLATES}: {error}") from error
    if published is None:
        return f"version {version}; none was published, so processes change their templates at a restart"
    if published.version != version:
        raise NotPublished(
            f"version {version}, and {published.version} is published: distribute its files to {settings.templates_dir}, "
            "or publish this folder with `takk templates publish`"
        )
    return f"version {version}, published {published.published_at:%Y-%m-%d %H:%M} UTC"
