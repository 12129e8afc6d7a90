"""The command `takk`. Each command loads what it needs when it is called, so that the help is there at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from streams.settings import Settings, SettingsError, env_name, load_settings

KAFKA_DIR = Path(".takk/kafka")


def _settings(**overrides: Any) -> Settings:
    try:
        return load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _on_kafka(settings: Settings, action: Callable[[], Any]) -> Any:
    """Do `action` once the cluster answers; one that does not, or refuses, becomes a message instead of a stack of calls."""
    from confluent_kafka import KafkaException

    from streams.doctor import Trouble, broker

    try:
        broker(settings)
        return action()
    except Trouble as trouble:
        raise click.ClickException(str(trouble)) from trouble
    except KafkaException as error:
        raise click.ClickException(
            f"Kafka at {settings.kafka_bootstrap_servers}: {error.args[0].str()}. `takk doctor` looks closer."
        ) from error
    except TimeoutError as error:
        raise click.ClickException(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="takk", prog_name="takk")
def main() -> None:
    """Takk runs the mail a shop owes its customers after a purchase.

    Orders, shipments and what customers do with their mail come in on Kafka; flows (templates/<flow>/flow.yaml)
    decide who gets which mail when; a mailer sends them over SMTP, each once.

    \b
    Try it:          takk demo --for 60
    On your Kafka:   export KAFKA_BOOTSTRAP_SERVERS=broker:9092 SMTP_HOST=mail SMTP_PORT=587 SMTP_TLS=starttls
                     takk doctor                  what is missing, and what to do
                     takk topics create           make the topics
                     takk worker                  run it: flows and timers
                     takk mailer --web-port 8081  and the mails; any number of each
    Write flows:     takk flows check             mistakes, with file, line and what would be right

    All settings come from the environment: `takk settings` lists them, README.md explains them.
    """


@main.command()
@click.option("--web-port", type=int, help="Port of /metrics, /livez and /readyz (0: a free one).")
def worker(web_port: int | None) -> None:
    """Run the flows and the scheduler.

    Start one, or as many as there are partitions (TAKK_PARTITIONS); they share the customers between them. Give each a name that it
    comes back with (TAKK_GROUP_INSTANCE_ID) and a disk that it keeps (TAKK_STATE_DIR), and a restart takes seconds. SIGTERM stops it
    cleanly.

    It answers on TAKK_WEB_HOST:TAKK_WEB_PORT: /livez (it runs), /readyz (it has its partitions), /metrics. On one machine each process
    needs a port of its own.
    """
    from streams.agents.app import run_worker

    settings = _settings(web_port=web_port)
    _on_kafka(settings, lambda: run_worker(settings))


@main.command()
@click.option("--web-port", type=int, help="Port of /metrics, /livez and /readyz (0: a free one).")
def mailer(web_port: int | None) -> None:
    """Run the mailer: it hands each mail to the mail server, once.

    It reads the commands that the worker writes, renders and sends them. A mail server that is down pauses it; nothing is lost, and it
    goes on by itself. Needs SMTP_HOST, TAKK_MAIL_FROM, TAKK_MAIL_BASE_URL and TAKK_MAIL_SECRET. SIGTERM stops it cleanly.

    It answers as the worker does; on one machine each process needs a port of its own (--web-port).
    """
    from streams.agents.app import run_mailer

    settings = _settings(web_port=web_port)
    _on_kafka(settings, lambda: run_mailer(settings))


@main.command()
@click.option("--for", "seconds", type=click.FloatRange(min=1), help="Stop by itself after so many seconds.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Orders a second.")
@click.option(
    "--day", envvar="DAY", default="1s", show_default=True, help="How long a day of waiting lasts: 1s, 1m, 1d."
)
@click.pass_context
def demo(context: click.Context, seconds: float | None, rate: float, day: str) -> None:
    """Try it all here: Kafka, a shop, worker, mailer and an inbox.

    Nothing leaves this machine. A day of waiting lasts a second, so that a mail due in two days comes at once; the addresses of the
    inbox and the metrics are printed at the start. Ctrl-C ends it.

    It ends with what was lost or doubled, found by comparing the inbox with what the rules say should be there; the exit code is 1 if
    there was any. The numbers are in .takk/demo/summary.json.
    """
    settings = _settings(day_scale_seconds=day)
    from streams.local.demo import run

    context.exit(run(settings, seconds=seconds, rate=rate))


@main.group()
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
    from streams.local.kafka import KafkaStartError, start_detached

    try:
        bootstrap = start_detached(data_dir, port)
    except KafkaStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Kafka listens. Use it with: export KAFKA_BOOTSTRAP_SERVERS={bootstrap}")


@kafka.command("stop")
@_data_dir
def kafka_stop(data_dir: Path) -> None:
    """Stop the one that `takk kafka start` started."""
    from streams.local.kafka import stop_detached

    click.echo("Kafka is stopped." if stop_detached(data_dir) else f"No Kafka runs in {data_dir}.")


@main.group("topics")
def topics_group() -> None:
    """The topics Takk reads and writes."""


@topics_group.command("create")
def topics_create() -> None:
    """Make the missing topics; change none that is there.

    TAKK_PARTITIONS and TAKK_REPLICATION say how; the number of partitions cannot be changed later. If a topic is there that is not what
    it has to be, nothing is made and the difference is told.
    """
    from streams.topics import TopicMismatch, create_topics

    settings = _settings()
    try:
        made = _on_kafka(settings, lambda: create_topics(settings))
    except TopicMismatch as mismatch:
        raise click.ClickException(str(mismatch)) from mismatch
    click.echo(f"Made: {', '.join(made)}." if made else "All topics are there, and as they have to be.")


@main.group()
def flows() -> None:
    """The flows: who gets which mail when."""


def _load_rules(settings: Settings) -> Any:
    from streams.flow_files import FlowFileError, load_rules

    try:
        return load_rules(settings.templates_dir)
    except FlowFileError as error:
        for line in error.errors:
            click.echo(line, err=True)
        raise click.ClickException(f"{len(error.errors)} mistake(s)") from error


_templates_dir = click.option(
    "--templates", "templates_dir", type=click.Path(path_type=Path, file_okay=False), help="The folder of the flows."
)


@flows.command("check")
@_templates_dir
def flows_check(templates_dir: Path | None) -> None:
    """Find every mistake in the flows and consent rules.

    Each is printed as file:line:column, what is wrong, and what would be right. Needs no Kafka. Exit code 1 if there is any.
    """
    found, policy = _load_rules(_settings(templates_dir=templates_dir))
    click.echo(f"{len(found)} flows, no mistakes.")
    if policy.is_built_in:
        click.echo(
            "There is no consent.yaml: only what is owed goes, and what a customer agreed to. Copy Takk's own there."
        )


@flows.command("list")
@_templates_dir
def flows_list(templates_dir: Path | None) -> None:
    """List name, version, status, purpose and trigger of each."""
    found, _ = _load_rules(_settings(templates_dir=templates_dir))
    for flow in found:
        click.echo(f"{flow.name:<24} v{flow.version:<3} {flow.status:<7} {flow.purpose:<10} on {flow.trigger.on}")


@main.group("dead-letters")
def dead_letters_group() -> None:
    """Records that could not be taken: see them, replay them.

    A record that cannot be read or breaks a rule is kept whole on the topic dead-letters, with the reason (schemas/README.md lists them),
    and the records behind it go on. When the reason is gone, `replay` sends it back.
    """


_reason = click.option("--reason", help="Only those with this reason, e.g. not_avro.")
_topic = click.option("--topic", help="Only those that were read from this topic.")


@dead_letters_group.command("list")
@_reason
@_topic
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def dead_letters_list(reason: str | None, topic: str | None, as_json: bool) -> None:
    """Show which there are, and why.

    One line each: id (topic/partition/offset), time, stage, reason, detail and size. Keys and values may be personal and are not shown.
    """
    from streams import dead_letters

    settings = _settings()

    def show() -> int:
        count = 0
        for letter in dead_letters.select(dead_letters.read(settings), reason=reason, topic=topic):
            count += 1
            fields = {
                "id": letter.id,
                "failed_at": letter.failed_at.isoformat(timespec="seconds"),
                "stage": letter.stage,
                "reason": letter.reason,
                "detail": letter.detail,
                "bytes": len(letter.value or b""),
            }
            click.echo(json.dumps(fields) if as_json else "  ".join(str(value) for value in fields.values()))
        return count

    count = _on_kafka(settings, show)
    if not as_json:
        click.echo(f"{count} dead letters.")


@dead_letters_group.command("replay")
@click.argument("ids", nargs=-1, metavar="[TOPIC/PARTITION/OFFSET]...")
@_reason
@_topic
@click.option("--all", "is_all", is_flag=True, help="Every one of them.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
def dead_letters_replay(
    ids: tuple[str, ...], reason: str | None, topic: str | None, is_all: bool, dry_run: bool
) -> None:
    """Publish them again where they came from, byte for byte.

    Choose by id, --reason, --topic or --all. The letters stay where they are; a record published twice changes nothing twice.
    """
    if not (ids or reason or topic or is_all):
        raise click.UsageError("Say which: ids, --reason, --topic or --all. `takk dead-letters list` shows them.")
    from streams import dead_letters

    settings = _settings()

    def again() -> int:
        chosen = list(dead_letters.select(dead_letters.read(settings), ids=ids, reason=reason, topic=topic))
        missing = sorted(set(ids) - {letter.id for letter in chosen})
        if missing:
            raise click.ClickException(f"no such dead letter: {', '.join(missing)}. Nothing was published.")
        return len(chosen) if dry_run else dead_letters.replay(settings, chosen)

    count = _on_kafka(settings, again)
    click.echo(f"{count} records {'would be ' if dry_run else ''}published again.")


@main.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is missing before a start, and what to do about it.

    Looks at broker, topics, schema registry if there is one, mail server, sender, templates and disk. Changes nothing and sends nothing.
    Exit code 1 if anything is wrong.
    """
    from streams.doctor import examine

    settings = _settings()
    is_well = True
    for finding in examine(settings):
        click.echo(str(finding))
        is_well = is_well and finding.is_well
    context.exit(0 if is_well else 1)


@main.command("settings")
def show_settings() -> None:
    """List all settings with the values in force.

    One NAME=value a line, NAME being the variable that sets it; README.md explains them. Secrets are not shown, and may be given as
    NAME_FILE, the path of a file, instead.
    """
    settings = _settings()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = "" if value is None else str(value) if field.repr else "**********"
        click.echo(f"{env_name(name)}={shown}")
