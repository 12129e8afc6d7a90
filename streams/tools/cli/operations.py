"""`takk why`, `takk dead-letters`, `takk doctor` and `takk settings`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from streams.tools.cli.options import DAYS, Since, on_kafka, read_settings, show_progress

#: The number of entries that `takk why` prints. A typical customer has fewer in 30 days.
NEWEST = 200

TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.argument("customer")
@click.option("--send", "send_id", help="Show only this send and its flow instance.")
@click.option("--days", type=DAYS, default=30, show_default=True, help="Days to look back.")
@click.option("--all", "is_all", is_flag=True, help=f"Show all entries, not only the newest {NEWEST}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all entries.")
def why(customer: str, send_id: str | None, days: float, is_all: bool, as_json: bool) -> None:
    """Explain why a customer did or did not receive an email.

    CUSTOMER is the customer id of the orders. The output is a timeline: emails that were sent and their engagement, emails
    that were not sent and the rule that decided, records that became dead letters, and flows that wait. It contains no
    addresses and no names.

    The command reads the customer's partition of the decision, email and engagement topics, the dead letters, and the
    customer's state. It changes nothing.

    \b
    takk why c1042
    takk why c1042 --days 90 --send 4ec0f03728c1ba9925dd1a89c9aecabf

    Exit codes: 0 success, 1 no records of the customer or the send, or Kafka does not answer.
    """
    from msgspec import to_builtins

    from streams.tools.operations.customer_records import read_timeline
    from streams.tools.operations.timeline_text import format_timeline

    settings = read_settings()
    timeline = on_kafka(
        settings,
        lambda: read_timeline(
            settings,
            customer,
            days=days,
            send_id=send_id,
            limit=None if is_all or as_json else NEWEST,
            on_progress=show_progress(),
        ),
    )
    if not timeline.is_known:
        if send_id:
            raise click.ClickException(
                f"no records of send {send_id!r} of customer {customer!r} in the last {days:g} days. Run `takk why` without --send "
                "to list all sends."
            )
        raise click.ClickException(
            f"no records of customer {customer!r} in the last {days:g} days, and no state in {settings.app_id}. Use the customer id of the "
            "orders, or a larger --days."
        )
    click.echo(json.dumps(to_builtins(timeline)) if as_json else "\n".join(format_timeline(timeline)))


@click.command()
@click.option("--send", "send_ids", multiple=True, help="Send id of an email. Repeatable.")
@click.option("--order", "order_ids", multiple=True, help="Id of an order, for all its emails. Repeatable.")
@click.option("--since", type=TIME, help="Only emails decided at or after this time, in UTC.")
@click.option("--until", type=TIME, help="Only emails decided before this time, in UTC.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(("sent", "deferred", "refused", "expired", "suppressed", "unknown", "any")),
    help="Only emails with this outcome. Repeatable. Default: refused, expired and unknown for a time range, otherwise any.",
)
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def resend(
    send_ids: tuple[str, ...],
    order_ids: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    outcomes: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Send transactional emails again.

    Select emails by send id, order or time. The command counts them, and asks before it sends. Each email gets a new send id
    and its full time until it expires, and passes through the mailer as every other; `takk why` shows it. Its content stays the same.
    Emails that need consent are left out: their flows decide about them.

    An email that was sent again counts once, with its newest outcome. So a time range, run twice, sends no email twice that arrived or is
    still on its way. Name an email with --send to send it in any case.

    \b
    takk resend --order 1042
    takk resend --since 2026-11-23T08:00 --until 2026-11-23T10:00 --dry-run

    Exit codes: 0 success, 1 an id is unknown, the confirmation is refused, or Kafka does not answer, 2 nothing is selected.
    """
    if not (send_ids or order_ids or since):
        raise click.UsageError("Select the emails with --send, --order or --since.")
    from streams.core.values.text import counted
    from streams.tools.operations.resend import NOT_ARRIVED, Selection, read_found, send_again

    settings = read_settings()
    wanted = outcomes or (("any",) if send_ids or order_ids else NOT_ARRIVED)
    selection = Selection(
        send_ids=frozenset(send_ids),
        order_ids=frozenset(order_ids),
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
        outcomes=frozenset() if "any" in wanted else frozenset(wanted),
    )
    found = on_kafka(settings, lambda: read_found(settings, selection, show_progress()))
    if missing := sorted(set(send_ids) - found.commands.keys()):
        raise click.ClickException(
            f"no transactional email with this send id{' and outcome' if outcomes else ''} in the last 30 days: {', '.join(missing)}. "
            "Nothing was sent."
        )
    count = counted(len(found.commands), "email")
    if found.others:
        click.echo(f"{counted(found.others, 'email')} left out: only transactional emails can be sent again.")
    if found.erased:
        click.echo(f"{counted(found.erased, 'email')} left out: their customers were erased.")
    if dry_run or not found.commands:
        click.echo(f"{count} would be sent again.")
        return
    if not yes:
        click.confirm(f"Send {count} again?", abort=True)
    on_kafka(settings, lambda: send_again(settings, found, datetime.now(UTC)))
    click.echo(f"{count} commanded again. `takk why CUSTOMER` shows the outcome.")


@click.group("dead-letters")
def dead_letters() -> None:
    """List and replay dead letters.

    An invalid record is kept unchanged on the topic dead-letters, with the reason (schemas/README.md lists the reasons).
    Processing continues with the next record. Once the cause is fixed, `replay` publishes the record again.
    """


_reason = click.option("--reason", help="Only letters with this reason, e.g. not_avro.")
_topic = click.option("--topic", help="Only letters whose record was read from this topic.")
_since = click.option(
    "--since", type=Since(), help="Only letters since this time, e.g. 2h, 3d or 2026-03-02T09:00 (UTC)."
)


@dead_letters.command("list")
@_reason
@_topic
@_since
@click.option("--count", "is_count", is_flag=True, help="Only count them, by topic, partition, stage and reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def dead_letters_list(
    reason: str | None, topic: str | None, since: datetime | None, is_count: bool, as_json: bool
) -> None:
    """List or count dead letters.

    Prints one line per letter: id (topic/partition/offset), time, stage, reason, detail and size. Keys and values may contain
    personal data and are not printed. Letters stay for 30 days, also after a replay, so choose those of an incident with
    --since.

    \b
    takk dead-letters list --since 2h --count
    takk dead-letters list --reason bad_currency

    Exit code 1 if Kafka does not answer.
    """
    from msgspec import to_builtins

    from streams.core.values.text import counted
    from streams.tools.operations.dead_letters import count, read, select

    settings = read_settings()
    if is_count:
        groups = on_kafka(settings, lambda: count(select(read(settings, since), reason=reason, topic=topic)))
        for group in groups:
            click.echo(json.dumps(to_builtins(group)) if as_json else str(group))
        if not as_json:
            click.echo(f"{counted(sum(group.count for group in groups), 'dead letter')} (times in UTC).")
        return

    def show() -> int:
        total = 0
        for letter in select(read(settings, since), reason=reason, topic=topic):
            total += 1
            fields = {
                "id": letter.id,
                "failed_at": letter.failed_at.isoformat(timespec="seconds"),
                "stage": letter.stage,
                "reason": letter.reason,
                "detail": letter.detail,
                "bytes": len(letter.value or b"") if letter.value_bytes is None else letter.value_bytes,
            }
            click.echo(json.dumps(fields) if as_json else "  ".join(str(value) for value in fields.values()))
        return total

    total = on_kafka(settings, show)
    if not as_json:
        click.echo(f"{counted(total, 'dead letter')}.")


@dead_letters.command("replay")
@click.argument("ids", nargs=-1, metavar="[TOPIC/PARTITION/OFFSET]...")
@_reason
@_topic
@_since
@click.option("--all", "is_all", is_flag=True, help="Replay all dead letters.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
def dead_letters_replay(
    ids: tuple[str, ...], reason: str | None, topic: str | None, since: datetime | None, is_all: bool, dry_run: bool
) -> None:
    """Republish dead letters unchanged to their original topics.

    Select them by id, --reason, --topic, --since or --all. The letters stay on dead-letters. A record that is published
    twice is processed once. A record of more than 1 MiB cannot be replayed, because its letter has only its first bytes.
    Letters of customers who were erased afterwards are left out.

    \b
    takk dead-letters replay --reason bad_currency --since 2h --dry-run
    takk dead-letters replay orders/2/1042 orders/2/1043

    Exit codes: 0 success, 1 an id is unknown, a record cannot be replayed, or Kafka does not accept it, 2 nothing is selected.
    """
    if not (ids or reason or topic or since or is_all):
        raise click.UsageError(
            "Select the letters with ids, --reason, --topic, --since or --all. `takk dead-letters list` lists them."
        )
    from streams.core.values.text import counted
    from streams.tools.operations.dead_letters import of_erased, read, replay, select
    from streams.tools.operations.erasures import read_erasures
    from streams.wire.codec import codec_of

    settings = read_settings()
    codec, obstacles, erased = codec_of(settings), list[str](), list[str]()

    def replay_selected() -> int:
        selected = list(select(read(settings, since), ids=ids, reason=reason, topic=topic))
        missing = sorted(set(ids) - {letter.id for letter in selected})
        if missing:
            raise click.ClickException(f"unknown dead letter: {', '.join(missing)}. Nothing was published.")
        erased_at = read_erasures(settings, show_progress()) if selected else {}
        erased.extend(letter.id for letter in selected if of_erased(codec, letter, erased_at))
        selected = [letter for letter in selected if letter.id not in erased]
        obstacles.extend(f"cannot replay {letter.id}: {letter.obstacle}." for letter in selected if letter.obstacle)
        complete = [letter for letter in selected if letter.obstacle is None]
        return len(complete) if dry_run else replay(settings, complete)

    count = on_kafka(settings, replay_selected)
    click.echo(f"{counted(count, 'record')} {'would be ' if dry_run else ''}replayed.")
    if erased:
        click.echo(f"{counted(len(erased), 'letter')} left out: their customers were erased.")
    if obstacles:
        raise click.ClickException("\n".join(obstacles))


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check the configuration and suggest fixes.

    Checks the broker, the topics, the schema registry if there is one, the mail server, the sender, the flows, the
    brand and the disk. Changes nothing and sends nothing.

    Exit codes: 0 every check passed, 1 a check failed.
    """
    from streams.tools.operations.doctor import run_checks

    settings = read_settings()
    ok = True
    for result in run_checks(settings):
        click.echo(str(result))
        ok = ok and result.ok
    context.exit(0 if ok else 1)


@click.command("settings")
def settings() -> None:
    """List all settings with their current values.

    Prints one NAME=value per line, where NAME is the environment variable. deploy/SETTINGS.md explains them. Secrets are not
    printed. A secret can also be set with NAME_FILE, the path of a file that contains it. Exit code 1 if a value is invalid.
    """
    from streams.settings import Settings, env_name

    values = read_settings()
    for name, field in Settings.model_fields.items():
        value = getattr(values, name)
        text = "" if value is None else str(value) if field.repr else "**********"
        click.echo(f"{env_name(name)}={text}")
