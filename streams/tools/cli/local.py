"""`takk demo` and `takk kafka`: everything that runs on this machine."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from streams.tools.cli.options import (
    Number,
    read_settings,
    writing,
)

KAFKA_DIR = Path(".takk/kafka")


@click.command()
@click.option("--for", "seconds", type=Number(1, 31_536_000), help="Stop by itself after so many seconds.")
@click.option("--rate", type=Number(0.1, 10_000), default=5, show_default=True, help="Orders a second.")
@click.option(
    "--day", envvar="DAY", default="1s", show_default=True, help="How long a day of waiting lasts: 1s, 1m, 1d."
)
@click.pass_context
def demo(context: click.Context, seconds: float | None, rate: float, day: str) -> None:
    """Try it all here: Kafka, a shop, worker, mailer and an inbox.

    Nothing leaves this machine. A day of waiting lasts a second, so that a mail due in two days comes at once; the addresses of the
    inbox and the metrics are printed at the start. Ctrl-C ends it, or SIGTERM.

    It ends with what was lost or doubled, found by comparing the inbox with what the rules say should be there; the exit code is 1 if
    there was any. The numbers are in .takk/demo/summary.json.
    """
    settings = read_settings(day_scale_seconds=day)
    from streams.tools.local.demo import DEMO_DIR, run

    with writing(DEMO_DIR):
        DEMO_DIR.mkdir(parents=True, exist_ok=True)
    # Whoever ends it, worker and mailer have to go with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    context.exit(run(settings, seconds=seconds, rate=rate))


@click.group()
def kafka() -> None:
    """A Kafka of your own on this machine, to try things out."""


_data_dir = click.option(
    "--dir",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=KAFKA_DIR,
    show_default=True,
    help="Where its topics live.",
)


@kafka.command("start")
@_data_dir
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port to listen on.")
def kafka_start(data_dir: Path, port: int) -> None:
    """Start it and leave it running; its topics are kept."""
    from streams.tools.local.kafka.detached import start_detached
    from streams.tools.local.kafka.jars import KafkaStartError

    try:
        with writing(data_dir):
            bootstrap = start_detached(data_dir, port)
    except KafkaStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Kafka listens. Use it with: export KAFKA_BOOTSTRAP_SERVERS={bootstrap}")


@kafka.command("stop")
@_data_dir
def kafka_stop(data_dir: Path) -> None:
    """Stop the one that `takk kafka start` started."""
    from streams.tools.local.kafka.detached import stop_detached

    click.echo("Kafka is stopped." if stop_detached(data_dir) else f"No Kafka runs in {data_dir}.")
