"""`takk simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from streams.tools.cli.options import (
    DAYS,
    on_kafka,
    read_settings,
    show_progress,
    templates_dir_option,
    writing,
)


@click.command()
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
@click.option("--days", type=DAYS, default=30, show_default=True, help="Days that go on after the last fact.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write plots into this file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all of it.")
@templates_dir_option
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

    from streams.definitions.problems import FlowFileError
    from streams.tools.simulation.comparison import load_variants, read_files, read_topics, simulate_variants
    from streams.tools.simulation.history import HistoryError
    from streams.tools.simulation.outcome import UnknownFlow, table
    from streams.tools.simulation.report import page

    settings = read_settings(templates_dir=templates_dir)
    is_from_topics = "topic" in sources
    if is_from_topics and len(sources) > 1:
        raise click.UsageError(
            "--from: the word topic stands alone, for all topics; name files, or it. (A file of that name: ./topic)"
        )
    if html_file is not None:
        with writing(html_file):
            html_file.touch()  # fail now rather than after minutes of simulation
    try:
        variants = load_variants(settings, changes, compare)
        if is_from_topics:
            is_recommending = any(ruleset.counts_sales for ruleset in variants.values())
            inputs = on_kafka(settings, lambda: read_topics(settings, products_file, is_recommending, show_progress))
        else:
            inputs = read_files(settings, [Path(source) for source in sources], products_file, show_progress)
    except FlowFileError as error:
        raise click.ClickException(f"the flows have mistakes:\n{error}") from error
    except (HistoryError, UnknownFlow) as error:
        raise click.ClickException(str(error)) from error
    results = simulate_variants(variants, inputs, days, show_progress)
    if html_file is not None:
        with writing(html_file):
            html_file.write_text(page(results), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"outcomes": to_builtins(results), "broken": inputs.history.invalid}))
        return
    click.echo("\n".join(table(results)))
    for rule, count in sorted(inputs.history.invalid.items()):
        click.echo(f"{count} records were not believed: {rule}")
    for result in results:
        rate = result.events / max(result.seconds, 0.001)
        click.echo(f"{result.name}: {result.events:,} events in {result.seconds:.1f} s, {rate:,.0f} a second", err=True)
