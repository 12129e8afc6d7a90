"""`takk schemas`."""

from __future__ import annotations

import json

import click

from streams.tools.cli.options import read_settings


@click.group("schemas")
def schemas() -> None:
    """Describe the records that other systems write and read."""


@schemas.command("asyncapi")
def asyncapi_() -> None:
    """Print the topics for other systems as an AsyncAPI 3.0 document.

    It contains the topics that your shop writes and those that other systems read, with their Avro schemas, keys and retention.
    The brokers, partitions and retention are those of the settings. Needs no Kafka.

    \b
    takk schemas asyncapi > asyncapi.json

    The JSON API of the gateway is described by /v1/openapi.json.
    """
    from streams.runtime.avro.schemas import load_schemas
    from streams.runtime.kafka.topic_admin import TopicMismatch
    from streams.tools.operations.asyncapi import asyncapi

    settings = read_settings()
    try:
        document = asyncapi(load_schemas(settings.schemas_dir), settings)
    except TopicMismatch as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
