"""`takk topics`."""

from __future__ import annotations

import click

from streams.tools.cli.options import (
    on_kafka,
    read_settings,
)


@click.group("topics")
def topics() -> None:
    """The topics Takk reads and writes."""


@topics.command("create")
def topics_create() -> None:
    """Make the missing topics; change none that is there.

    TAKK_PARTITIONS and TAKK_REPLICATION say how; the number of partitions cannot be changed later. If a topic is there that is not what
    it has to be, nothing is made and the difference is told.
    """
    from streams.runtime.kafka.topic_admin import TopicMismatch
    from streams.wire.topics import create_topics

    settings = read_settings()
    try:
        made = on_kafka(settings, lambda: create_topics(settings))
    except TopicMismatch as mismatch:
        raise click.ClickException(str(mismatch)) from mismatch
    click.echo(f"Made: {', '.join(made)}." if made else "All topics are there, and as they have to be.")
