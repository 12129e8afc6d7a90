"""Decoding of the topic `published-templates`."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.wire.validation import Record, ValidationFailed, parse_time


class PublishedTemplates(Struct, frozen=True):
    """The published version of the templates folder.

    Attributes:
        version: the hash of its files.
        published_by: who or what published it.
        published_at: when, UTC.
    """

    version: str
    published_by: str
    published_at: datetime


def to_published_templates(record: Record) -> PublishedTemplates:
    """Return the version of a record.

    Raises:
        ValidationFailed: the version is empty, or the time is impossible.
    """
    if not record["version"]:
        raise ValidationFailed("bad_id", "version is empty")
    return PublishedTemplates(
        record["version"], record["published_by"], parse_time(record["published_at"], "published_at", None)
    )
