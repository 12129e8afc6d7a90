"""`takk topics`."""

from __future__ import annotations

import click

from streams.tools.cli.options import on_kafka, read_settings


@click.group("topics")
def topics() -> None:
    """Create the topics that Takk reads and writes."""


@topics.command("create")
def topics_create() -> None:
    """Create missing topics. Existing topics are never changed.

    TAKK_PARTITIONS and TAKK_REPLICATION configure new topics; the number of partitions cannot be changed later. If an
    existing topic has another configuration than Takk needs, the difference is printed and nothing is created.

    \b
    TAKK_PARTITIONS=12 TAKK_REPLICATION=3 takk topics create

    Exit codes: 0 all topics exist, 1 a topic has another configuration, or Kafka does not answer.
    """
    from streams.runtime.kafka.topic_admin import TopicMismatch
    from streams.wire.topics import create_topics

    settings = read_settings()
    try:
        created = on_kafka(settings, lambda: create_topics(settings))
    except TopicMismatch as mismatch:
        raise click.ClickException(str(mismatch)) from mismatch
    click.echo(f"Created: {', '.join(created)}." if created else "All topics exist with the expected configuration.")
