"""`takk why`, `takk dead-letters`, `takk doctor` and `takk settings`."""

from __future__ import annotations

import json

import click

from streams.tools.cli.options import (
    DAYS,
    on_kafka,
    read_settings,
    show_progress,
)


@click.command()
@click.argument("customer")
@click.option("--send", "send_id", help="Only what is about this send, and the flow that it came from.")
@click.option("--days", type=DAYS, default=30, show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all of it.")
def why(customer: str, send_id: str | None, days: float, as_json: bool) -> None:
    """Tell why a customer got a mail, or got none.

    CUSTOMER is the customer's id, as the shop names them. What happened is told in its order: what was sent and what became of it, what
    was not sent and by which rule, and what is waiting and until when. No addresses and no names are shown. It reads the partition that
    the customer lies on, up to its present end, and changes nothing. Exit code 1 if nothing is known.

    \b
    takk why c1042
    takk why c1042 --days 90 --send 4ec0f03728c1ba9925dd1a89c9aecabf
    """
    from msgspec import to_builtins

    from streams.tools.operations.customer_story import read_timeline
    from streams.tools.operations.timeline_text import format_timeline

    settings = read_settings()
    timeline = on_kafka(
        settings,
        lambda: read_timeline(settings, customer, days=days, send_id=send_id, on_progress=show_progress()),
    )
    if not timeline.is_known:
        if send_id:
            whose = f"send {send_id!r} of customer {customer!r}: looked at the last {days:g} days"
            raise click.ClickException(f"nothing is known of {whose}. `takk why` without --send tells all of them.")
        raise click.ClickException(
            f"nothing is known of customer {customer!r}: looked at the decisions, mails and engagement of the last {days:g} days, and at the "
            f"state of {settings.app_id}. Is it the id that orders carry?"
        )
    click.echo(json.dumps(to_builtins(timeline)) if as_json else "\n".join(format_timeline(timeline)))


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that could not be taken: see them, replay them.

    A record that cannot be read or breaks a rule is kept whole on the topic dead-letters, with the reason (schemas/README.md lists them),
    and the records behind it go on. When the reason is gone, `replay` sends it back.
    """


_reason = click.option("--reason", help="Only those with this reason, e.g. not_avro.")
_topic = click.option("--topic", help="Only those that were read from this topic.")


@dead_letters.command("list")
@_reason
@_topic
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def dead_letters_list(reason: str | None, topic: str | None, as_json: bool) -> None:
    """Show which there are, and why.

    One line each: id (topic/partition/offset), time, stage, reason, detail and size. Keys and values may be personal and are not shown.
    """
    from streams.tools.operations.dead_letters import read, select

    settings = read_settings()

    def show() -> int:
        count = 0
        for letter in select(read(settings), reason=reason, topic=topic):
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

    count = on_kafka(settings, show)
    if not as_json:
        click.echo(f"{count} dead letters.")


@dead_letters.command("replay")
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

    \b
    takk dead-letters replay --reason bad_currency --dry-run
    takk dead-letters replay orders/2/1042 orders/2/1043
    """
    if not (ids or reason or topic or is_all):
        raise click.UsageError("Say which: ids, --reason, --topic or --all. `takk dead-letters list` shows them.")
    from streams.tools.operations.dead_letters import read, replay, select

    settings = read_settings()

    def again() -> int:
        chosen = list(select(read(settings), ids=ids, reason=reason, topic=topic))
        missing = sorted(set(ids) - {letter.id for letter in chosen})
        if missing:
            raise click.ClickException(f"no such dead letter: {', '.join(missing)}. Nothing was published.")
        return len(chosen) if dry_run else replay(settings, chosen)

    count = on_kafka(settings, again)
    click.echo(f"{count} records {'would be ' if dry_run else ''}published again.")


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is missing before a start, and what to do about it.

    Looks at broker, topics, schema registry if there is one, mail server, sender, templates and disk. Changes nothing and sends nothing.
    Exit code 1 if anything is wrong.
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
    """List all settings with the values in force.

    One NAME=value a line, NAME being the variable that sets it; README.md explains them. Secrets are not shown, and may be given as
    NAME_FILE, the path of a file, instead.
    """
    from streams.settings import Settings, env_name

    values = read_settings()
    for name, field in Settings.model_fields.items():
        value = getattr(values, name)
        shown = "" if value is None else str(value) if field.repr else "**********"
        click.echo(f"{env_name(name)}={shown}")
