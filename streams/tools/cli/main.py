"""The command `takk`. Each command loads what it needs when it is called, so that the help is there at once."""

from __future__ import annotations

import gc
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Do `action` once the cluster answers, and its registry; what does not, or refuses, becomes a message instead of a stack of calls."""
    from confluent_kafka import KafkaException

    from streams.tools.operations.doctor import Trouble, broker, registry

    try:
        broker(settings)
        if settings.schema_registry_url:
            registry(settings)
        return action()
    except Trouble as trouble:
        raise click.ClickException(str(trouble)) from trouble
    except KafkaException as error:
        raise click.ClickException(
            f"Kafka at {settings.kafka_bootstrap_servers}: {error.args[0].str()}. `takk doctor` looks closer."
        ) from error
    except TimeoutError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{place} cannot be written: {error.strerror}") from error


def _progress(what: str = "read", batch: str = "offsets") -> Callable[[int, int], None]:
    """Tells on stderr, every two seconds, how far something long is."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 2:
            last = time.monotonic()
            click.echo(f"{what} {done:,} of {total:,} {batch}", err=True)

    return tell


class _Number(click.FloatRange):
    """A number within bounds. Click's own range lets `nan` through, which is neither below nor above them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        return self.fail(f"{value!r} is no number", param, ctx) if math.isnan(number) else number


#: More would lead before 1970, or past the last year that a clock can show.
_DAYS = _Number(0, 10_000)

_templates_dir = click.option(
    "--templates", "templates_dir", type=click.Path(path_type=Path, file_okay=False), help="The folder of the flows."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="takk", prog_name="takk")
def main() -> None:
    """Takk runs the mail a shop owes its customers after a purchase.

    Orders, shipments and what customers do with their mail come in on Kafka; flows (templates/flows/) decide who
    gets which mail when; a mailer sends them over SMTP, each once.

    \b
    Try it:          takk demo --for 60
    On your Kafka:   export KAFKA_BOOTSTRAP_SERVERS=broker:9092 SMTP_HOST=mail SMTP_PORT=587 SMTP_TLS=starttls
                     takk doctor                  what is missing, and what to do
                     takk topics create           make the topics
                     takk worker                  run it: flows and timers
                     takk mailer --web-port 8081  and the mails; any number of each
    Write flows:     takk flows check             mistakes, with file, line and what would be right
                     takk simulate --from topic   what they would have sent, from what happened
    Look back:       takk why CUSTOMER            what a customer got, what not, and by which rule

    All settings come from the environment: `takk settings` lists them, README.md explains them.
    """


@main.command()
@click.option("--web-port", type=int, help="Port of /metrics, /livez and /readyz (0: a free one).")
def worker(web_port: int | None) -> None:
    """Run flows, timers, pools of codes, and count what sells.

    Start one, or as many as there are partitions (TAKK_PARTITIONS); they share the customers between them. Give each a name that it
    comes back with (TAKK_GROUP_INSTANCE_ID) and a disk that it keeps (TAKK_STATE_DIR), and a restart takes seconds. SIGTERM stops it
    cleanly.

    It answers on TAKK_WEB_HOST:TAKK_WEB_PORT: /livez (it runs), /readyz (it has its partitions), /metrics. On one machine each process
    needs a port of its own.
    """
    from streams.agents.worker import run_worker

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
    from streams.agents.worker import run_mailer

    settings = _settings(web_port=web_port)
    _on_kafka(settings, lambda: run_mailer(settings))


@main.command()
@click.option("--for", "seconds", type=_Number(1, 31_536_000), help="Stop by itself after so many seconds.")
@click.option("--rate", type=_Number(0.1, 10_000), default=5, show_default=True, help="Orders a second.")
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
    settings = _settings(day_scale_seconds=day)
    from streams.tools.local.demo import DEMO_DIR, run

    with _writing(DEMO_DIR):
        DEMO_DIR.mkdir(parents=True, exist_ok=True)
    # Whoever ends it, worker and mailer have to go with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
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
    from streams.tools.local.kafka.broker import KafkaStartError, start_detached

    try:
        with _writing(data_dir):
            bootstrap = start_detached(data_dir, port)
    except KafkaStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Kafka listens. Use it with: export KAFKA_BOOTSTRAP_SERVERS={bootstrap}")


@kafka.command("stop")
@_data_dir
def kafka_stop(data_dir: Path) -> None:
    """Stop the one that `takk kafka start` started."""
    from streams.tools.local.kafka.broker import stop_detached

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
    from streams.runtime.kafka.topic_admin import TopicMismatch
    from streams.wire.topics import create_topics

    settings = _settings()
    try:
        made = _on_kafka(settings, lambda: create_topics(settings))
    except TopicMismatch as mismatch:
        raise click.ClickException(str(mismatch)) from mismatch
    click.echo(f"Made: {', '.join(made)}." if made else "All topics are there, and as they have to be.")


@main.group()
def flows() -> None:
    """The flows: who gets which mail when."""


def _templates(settings: Settings) -> Any:
    """What lies in the templates folder, if there is no mistake in it."""
    from streams.definitions.loader import read_templates

    templates = read_templates(settings.templates_dir)
    if templates.errors:
        for mistake in templates.errors:
            click.echo(str(mistake), err=True)
        raise click.ClickException(f"{_count(len(templates.errors), 'mistake')}. `takk flows check` tells all.")
    return templates


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@flows.command("check")
@_templates_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all of it.")
@click.pass_context
def flows_check(context: click.Context, templates_dir: Path | None, as_json: bool) -> None:
    """Find every mistake in flows, their messages, segments and rules.

    Do it before a worker does: it does not start with one. Each is printed as file:line:column, what is wrong, and what would be right.
    Found are words that are not understood, but also arms and steps that nobody ever comes to, events that can never come, and
    experiments that do not go together. Each message is rendered with made-up facts, in all its languages. A warning is something that is
    pointless and does no harm. Needs no Kafka. Exit code 1 if there is a mistake, 0 if there are only warnings.
    """
    from msgspec import to_builtins

    from streams.definitions.checks.messages import proofread
    from streams.definitions.loader import read_templates

    root = _settings(templates_dir=templates_dir).templates_dir
    found = read_templates(root)
    rules, errors = found.rules, [*found.errors, *proofread(root, found.flows)]
    in_force = len(rules.caps) + sum(
        map(bool, (rules.quiet, rules.holdout, rules.calm_if_late, rules.calm_after_refund, rules.calm_series))
    )
    older = len(found.flows) - len(found.newest)
    if as_json:
        counts = {"flows": len(found.newest), "older": older, "segments": len(found.segments), "rules": in_force}
        mistakes = {"errors": to_builtins(errors), "warnings": to_builtins(found.warnings)}
        click.echo(json.dumps(counts | mistakes))
    else:
        for mistake in errors:
            click.echo(str(mistake), err=True)
        for mistake in found.warnings:
            click.echo(f"warning: {mistake}", err=True)
        what = [_count(len(found.newest), "flow"), _count(len(found.segments), "segment"), _count(in_force, "rule")]
        if older:
            what.insert(1, _count(older, "older version"))
        said = _count(len(errors), "mistake") if errors else "no mistakes"
        warned = f", {_count(len(found.warnings), 'warning')}" if found.warnings else ""
        click.echo(f"{', '.join(what)}: {said}{warned}.")
    context.exit(1 if errors else 0)


@flows.command("list")
@_templates_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def flows_list(templates_dir: Path | None, as_json: bool) -> None:
    """List the flows.

    Name, version, status, purpose, what triggers it, and the messages it sends. An older version that is kept for the customers who are
    still on it (flow.v<version>.yaml) is triggered by nothing.
    """
    from streams.core.model.flow import Send, all_steps

    templates = _templates(_settings(templates_dir=templates_dir))
    rows = [
        {
            "name": flow.name,
            "version": flow.version,
            "status": flow.status,
            "purpose": flow.purpose,
            "trigger": flow.trigger.on if flow in templates.newest else "",
            "sends": list(dict.fromkeys(step.message for step in all_steps(flow.steps) if isinstance(step, Send))),
        }
        for flow in templates.flows
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    cells = [[", ".join(cell) if isinstance(cell, list) else str(cell) or "-" for cell in row.values()] for row in rows]
    cells.insert(0, [name.upper() for name in rows[0]])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _flow(settings: Settings, name: str, version: int | None = None) -> Any:
    """One flow of the folder, the newest version if none is asked for."""
    from streams.core.values.text import nearest

    named = {flow.version: flow for flow in _templates(settings).flows if flow.name == name}
    if not named:
        known = sorted({flow.name for flow in _templates(settings).flows})
        raise click.ClickException(f"there is no flow {name!r}; {nearest(name, known)}")
    if version is not None and version not in named:
        raise click.ClickException(f"there is no version {version} of {name}; known: {', '.join(map(str, named))}")
    return named[version or max(named)]


@flows.command("show")
@click.argument("name", metavar="FLOW")
@_templates_dir
@click.option("--version", type=click.IntRange(1), help="An older version that is kept; the newest if left out.")
@click.option("--mermaid", "is_mermaid", is_flag=True, help="As a Mermaid flowchart, for Markdown pages.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="As a picture, into this file.")
def flows_show(name: str, templates_dir: Path | None, version: int | None, is_mermaid: bool, svg: Path | None) -> None:
    """Show a flow: when it begins, its waits, splits and sends.

    The number before each step is its path, by which decisions and `takk flows migrate` name it.

    \b
    takk flows show review
    takk flows show review --svg review.svg
    """
    from streams.definitions.views.graph import as_mermaid, as_text
    from streams.definitions.views.svg import as_svg

    flow = _flow(_settings(templates_dir=templates_dir), name, version)
    if svg is not None:
        with _writing(svg):
            svg.write_text(as_svg(flow), encoding="utf-8")
        click.echo(f"Written: {svg}.")
    else:
        click.echo(as_mermaid(flow) if is_mermaid else as_text(flow), nl=False)


@flows.command("schema")
def flows_schema() -> None:
    """Print the JSON Schema of a flow.yaml, for editors.

    With it an editor completes the words of the language and underlines what is none. `takk flows check` finds more.

    \b
      takk flows schema > .takk/flow.schema.json
    in VS Code (extension YAML), settings.json:
      "yaml.schemas": {".takk/flow.schema.json": "templates/flows/*/*/flow*.yaml"}
    elsewhere, as the first line of a flow.yaml:
      # yaml-language-server: $schema=../../../../.takk/flow.schema.json
    """
    from streams.definitions.views.json_schema import flow_schema

    click.echo(json.dumps(flow_schema(), indent=2))


class _Mapped(click.ParamType):
    """OLD=NEW, two paths of steps."""

    name = "path=path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        old, equals, new = str(value).partition("=")
        if not (old and equals and new):
            self.fail(f"{value!r} is not OLD=NEW, for example 1.0=2.0.0", param, ctx)
        return old.strip(), new.strip()


@flows.command("migrate")
@click.argument("name", metavar="FLOW")
@_templates_dir
@click.option(
    "--from", "version", type=click.IntRange(1), help="The older version; the newest that is kept if left out."
)
@click.option(
    "--map", "steps", type=_Mapped(), multiple=True, help="Who waits for step OLD goes on at step NEW; repeat it."
)
@click.option("--count", "is_counting", is_flag=True, help="Count the people at each step, from the cluster's state.")
def flows_migrate(
    name: str, templates_dir: Path | None, version: int | None, steps: tuple[tuple[str, str], ...], is_counting: bool
) -> None:
    """Plan how people move to a flow's newest version.

    People on the way through a flow finish on the version that they began with, which is kept as flow.v<version>.yaml. To move people
    to the newest one, say which step they go on at instead of the one they wait for. Without --map this lists the steps for which people
    can wait, and where they go by what flow.yaml says already. It changes nothing: it checks the mapping (nobody may get a mail again),
    and prints what to write into flow.yaml. From there on the workers move each run when its wait is over.

    \b
    takk flows migrate review                             where people can wait
    takk flows migrate review --map 1.0.0=2.0.0 --count   what to write, and how many people it would move
    """
    from streams.core.model.flow import CompiledFlow, Migration
    from streams.definitions.checks.migrations import guard_migration
    from streams.definitions.views.migration_plan import preview

    settings = _settings(templates_dir=templates_dir)
    new = _flow(settings, name)
    kept = [flow.version for flow in _templates(settings).flows if flow.name == name and flow.version < new.version]
    if not kept:
        raise click.ClickException(f"no older version of {name} is kept: put its file there as flow.v<version>.yaml")
    old = _flow(settings, name, version or max(kept))
    if old.version == new.version:
        raise click.ClickException(f"version {new.version} is the newest; --from one of {', '.join(map(str, kept))}")
    written = next((one for one in new.migrations if one.version == old.version), None)
    asked = Migration(version=old.version, steps=tuple(dict(steps).items()))
    migration = written if written is not None and not steps else asked
    findings = list(guard_migration(CompiledFlow(old), CompiledFlow(new), migration))
    for finding in findings:
        click.echo(f"{finding.problem}; {finding.remedy}", err=True)
    if findings:
        raise click.ClickException(f"{_count(len(findings), 'mistake')} in the mapping.")
    customers = None
    if is_counting:
        from streams.tools.operations.customer_states import read_customers

        customers = _on_kafka(settings, lambda: read_customers(settings, _progress()))
    for line in preview(old, new, migration, customers):
        click.echo(line)


@main.command()
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    metavar="FILE|topic",
    help="An Avro file, once for each; or the word topic.",
)
@click.option(
    "--flow",
    "changes",
    multiple=True,
    metavar="NAME@draft|NAME@off",
    help="Try the flow's draft as if live, or do without it.",
)
@click.option(
    "--products",
    "products_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An Avro file of what the shop sells; with --from topic, else the topic products.",
)
@click.option(
    "--compare", type=click.Path(path_type=Path, file_okay=False), help="Another folder of flows, to try beside it."
)
@click.option("--days", type=_DAYS, default=30, show_default=True, help="Days that go on after the last fact.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write plots into this file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all of it.")
@_templates_dir
def simulate(
    sources: tuple[str, ...],
    changes: tuple[str, ...],
    products_file: Path | None,
    compare: Path | None,
    days: float,
    html_file: Path | None,
    as_json: bool,
    templates_dir: Path | None,
) -> None:
    """Play history through the flows, and count the mails.

    Nothing is sent, and nothing is written to Kafka. The history is Avro files of orders, shipments, engagement, customers,
    browsing and contact pressure, or `--from topic`: what lies on the cluster's topics now. It tells mails a day, by flow and per customer,
    and what was not sent, by rule; with --flow or --compare twice, and the difference. Mails that recommend need --products: without it
    they count as sent. Pools of codes are never empty here.

    \b
    takk simulate --from orders.avro --from shipments.avro --flow review@off --html review.html
    takk simulate --from topic --compare my-templates --days 90
    """
    from msgspec import to_builtins

    from streams.definitions.loader import FlowFileError, load_ruleset
    from streams.tools.simulation.history import (
        HistoryError,
        from_files,
        from_topics,
        products_from_file,
        products_from_topic,
    )
    from streams.tools.simulation.outcome import NoSuchFlow, simulate, table, with_changes
    from streams.tools.simulation.report import page

    settings = _settings(templates_dir=templates_dir)
    if "topic" in sources and len(sources) > 1:
        raise click.UsageError(
            "--from: the word topic stands alone, for all topics; name files, or it. (A file of that name: ./topic)"
        )
    if html_file is not None:
        with _writing(html_file):
            html_file.touch()  # not after minutes of playing

    def ruleset_of(folder: Path) -> Any:
        return load_ruleset(folder, **settings.ruleset_options())

    try:
        worlds = {"as it is": ruleset_of(settings.templates_dir)}
        if changes:
            base = worlds["as it is"]
            worlds[" ".join(changes)] = base.with_flows(with_changes(base.flows, changes))
        if compare is not None:
            worlds[str(compare)] = ruleset_of(compare)
        if sources == ("topic",):
            history = _on_kafka(settings, lambda: from_topics(settings, on_progress=_progress()))
        else:
            files = [Path(source) for source in sources]
            history = from_files(files, settings.schemas_dir, on_progress=_progress(batch="bytes of a file"))
        catalogue = None
        if products_file is not None:
            catalogue, broken = products_from_file(products_file, settings.schemas_dir)
            history.broken += broken
        elif sources == ("topic",) and any(ruleset.counts_sales for ruleset in worlds.values()):
            catalogue, broken = _on_kafka(settings, lambda: products_from_topic(settings, on_progress=_progress()))
            history.broken += broken
    except FlowFileError as error:
        raise click.ClickException(f"the flows have mistakes:\n{error}") from error
    except (HistoryError, NoSuchFlow) as error:
        raise click.ClickException(str(error)) from error
    gc.freeze()  # the history stays as it is: the collector need not look through it again and again
    outcomes = [
        simulate(
            ruleset, history, days, name=name, catalogue=catalogue, on_progress=_progress(f"{name}: played", "facts")
        )
        for name, ruleset in worlds.items()
    ]
    if html_file is not None:
        with _writing(html_file):
            html_file.write_text(page(outcomes), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"outcomes": to_builtins(outcomes), "broken": history.broken}))
        return
    click.echo("\n".join(table(outcomes)))
    for rule, count in sorted(history.broken.items()):
        click.echo(f"{count} records were not believed: {rule}")
    for one in outcomes:
        click.echo(
            f"{one.name}: {one.events:,} events in {one.seconds:.1f} s, {one.events / max(one.seconds, 0.001):,.0f} a second",
            err=True,
        )


@main.command()
@click.argument("customer")
@click.option("--send", "send_id", help="Only what is about this send, and the flow that it came from.")
@click.option("--days", type=_DAYS, default=30, show_default=True, help="How far to look back.")
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

    from streams.tools.operations.customer_story import read_story, told

    settings = _settings()
    found = _on_kafka(
        settings,
        lambda: read_story(settings, customer, days=days, send_id=send_id, on_progress=_progress()),
    )
    if not found.is_known:
        if send_id:
            whose = f"send {send_id!r} of customer {customer!r}: looked at the last {days:g} days"
            raise click.ClickException(f"nothing is known of {whose}. `takk why` without --send tells all of them.")
        raise click.ClickException(
            f"nothing is known of customer {customer!r}: looked at the decisions, mails and engagement of the last {days:g} days, and at the "
            f"state of {settings.app_id}. Is it the id that orders carry?"
        )
    click.echo(json.dumps(to_builtins(found)) if as_json else "\n".join(told(found)))


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
    from streams.tools.operations import dead_letters

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

    \b
    takk dead-letters replay --reason bad_currency --dry-run
    takk dead-letters replay orders/2/1042 orders/2/1043
    """
    if not (ids or reason or topic or is_all):
        raise click.UsageError("Say which: ids, --reason, --topic or --all. `takk dead-letters list` shows them.")
    from streams.tools.operations import dead_letters

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
    from streams.tools.operations.doctor import examine

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
