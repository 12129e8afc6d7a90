"""`takk demo`, `takk shop` and `takk kafka`: trials on this machine."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streams.tools.cli.options import Number, on_kafka, read_settings, writing

KAFKA_DIR = Path(".takk/kafka")


@click.command()
@click.option(
    "--for",
    "seconds",
    type=Number(1, 31_536_000),
    help="Close the shop after this many seconds. Default: run until Ctrl-C.",
)
@click.option("--rate", type=Number(0.1, 10_000), default=5, show_default=True, help="Orders per second.")
@click.option(
    "--day", envvar="DAY", default="1s", show_default=True, help="How long one day of waiting takes, e.g. 1s, 1m or 1d."
)
@click.pass_context
def demo(context: click.Context, seconds: float | None, rate: float, day: str) -> None:
    """Run a demo: Kafka, a shop, its customers, and all of Takk.

    Nothing leaves this machine. One day of waiting takes one second, so an email due in two days arrives at once. The
    addresses of the inbox, the gateway and the metrics are printed at the start. Ctrl-C or SIGTERM stops the demo.

    Simulated recipients read the emails and use their links over HTTP: they open, click, unsubscribe, answer surveys,
    review, upload photos, reorder and change their preferences. The shop sends some of its records to the JSON API.

    At the end the demo recomputes which emails the flows require, compares them with the inbox, and accounts for every
    order. It also checks that everything that the gateway accepted is on its topic. The results, the logs and the
    history of the shop are in .takk/demo.

    \b
    takk demo --for 60
    takk demo --rate 50 --day 1m

    Exit codes: 0 every email arrived and every accepted action is on the topics once, 1 something is missing or
    happened twice, or the demo could not start.
    """
    settings = read_settings(day_scale_seconds=day)
    with _demo_packages():
        from streams.tools.local.demo import DEMO_DIR, run
        from streams.tools.local.kafka.jars import KafkaStartError
        from streams.tools.local.processes import ProcessFailed

    with writing(DEMO_DIR):
        DEMO_DIR.mkdir(parents=True, exist_ok=True)
    # These signals too must stop the worker and the mailer.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with _only_one(DEMO_DIR.with_suffix(".lock")):
            context.exit(run(settings, seconds=seconds, rate=rate))
    except (KafkaStartError, ProcessFailed) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option(
    "--for",
    "seconds",
    type=Number(1, 31_536_000),
    help="Close the shop after this many seconds. Default: run until Ctrl-C.",
)
@click.option("--rate", type=Number(0.01, 10_000), default=1, show_default=True, help="Orders per second.")
@click.option("--seed", type=int, default=7, show_default=True, help="Selects the customers and their orders.")
@click.confirmation_option(
    prompt="This writes invented orders to Kafka. Never do it where a real shop writes. Continue?",
    help="Write without asking.",
)
def shop(seconds: float | None, rate: float, seed: int) -> None:
    """Simulate a shop on your Kafka, for a trial.

    Its invented customers place orders, receive parcels, and open and click the emails that a worker and a mailer send them. One
    day takes as long as DAY says. Their addresses end with .example, so no email can reach a person. Ctrl-C or SIGTERM
    closes the shop.

    \b
    DAY=1s takk shop --rate 5 --for 60

    Exit code 1 if Kafka does not answer.
    """
    from streams.tools.local.live_shop import run

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    settings = read_settings()
    placed = on_kafka(settings, lambda: run(settings, seconds=seconds, rate=rate, seed=seed))
    click.echo(f"The shop is closed: {placed} orders.")


@contextmanager
def _demo_packages() -> Iterator[None]:
    """Turn a missing package in the block into a message: only the demo needs those of the extra `demo`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this installation does not have the package {error.name}, which only demos and trials need. Install the extra "
            "takk[demo], or run `make demo` in the source tree"
        ) from error


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path` during the block: a second demo would delete the files of the first.

    Raises:
        click.ClickException: another process holds the lock.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"another demo is running in {Path.cwd()}. Stop it with Ctrl-C, or start this one in another directory"
            ) from None
        yield


@click.group()
def kafka() -> None:
    """Start and stop a Kafka broker for trials."""


_data_dir = click.option(
    "--dir",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=KAFKA_DIR,
    show_default=True,
    help="Directory of the broker's data.",
)


@kafka.command("start")
@_data_dir
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port to listen on.")
def kafka_start(data_dir: Path, port: int) -> None:
    """Start a broker, and leave it running.

    The first start downloads Kafka (44 MB). The topics are kept in --dir. Exit code 1 if it does not start.

    \b
    takk kafka start
    export KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092
    takk topics create
    """
    with _demo_packages():
        from streams.tools.local.kafka.detached import start_detached
        from streams.tools.local.kafka.jars import KafkaStartError

    try:
        with writing(data_dir):
            bootstrap = start_detached(data_dir, port)
    except KafkaStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Kafka is running. Use it with: export KAFKA_BOOTSTRAP_SERVERS={bootstrap}")


@kafka.command("stop")
@_data_dir
def kafka_stop(data_dir: Path) -> None:
    """Stop the broker that `takk kafka start` started. The topics are kept."""
    with _demo_packages():
        from streams.tools.local.kafka.detached import stop_detached

    click.echo("Kafka has stopped." if stop_detached(data_dir) else f"No broker is running in {data_dir}.")
