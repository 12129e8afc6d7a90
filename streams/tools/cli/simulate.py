"""`takk simulate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from streams.tools.cli.options import DAYS, on_kafka, read_settings, show_progress, templates_dir_option, writing


@click.command()
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    metavar="[KIND=]FILE|topic",
    help="A file (repeatable), or the word topic to read the cluster's topics.",
)
@click.option(
    "--mapping",
    "mappings",
    multiple=True,
    metavar="KIND=FILE",
    help="A mapping file as of `takk import`, for the rows of a kind. Repeatable.",
)
@click.option(
    "--flow",
    "changes",
    multiple=True,
    metavar="NAME@draft|NAME@off",
    help="Add a variant with this draft live, or this flow off. Repeatable: one variant has all the changes.",
)
@click.option(
    "--products",
    "products_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An Avro file of products. Default with --from topic: the topic products.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, file_okay=False),
    help="Add a variant with the flows of this directory.",
)
@click.option("--days", type=DAYS, default=30, show_default=True, help="Days to simulate after the last event.")
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write plots to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@templates_dir_option
def simulate(
    sources: tuple[str, ...],
    mappings: tuple[str, ...],
    changes: tuple[str, ...],
    products_file: Path | None,
    compare: Path | None,
    days: float,
    html_file: Path | None,
    as_json: bool,
    templates_dir: Path | None,
) -> None:
    """Simulate the flows on past events, and count the emails.

    Nothing is sent, and nothing is written to Kafka. The events come from files of orders, shipments, engagement, customers,
    browsing and contact pressure, or with `--from topic` from the cluster's topics. Files need no Kafka: they are Avro
    files, or CSV (.csv, .tsv) and JSON Lines (.jsonl, .ndjson) as `takk import` reads them. The name of such a file begins
    with the kind of its rows, such as orders-2026.csv, or the kind is before it: orders=sales.csv. Invalid rows are left out
    and written to FILE.errors.jsonl. The result counts emails per day, per flow and per customer, and emails that were
    deferred or not sent, by rule.

    --flow and --compare each add a variant of the flows; with one of them, the difference is printed too. With --products,
    emails that recommend products are sent only if there are enough products; without it they all count as sent. Its records
    are played at their times (`updated_at`): products that are in stock again, cost less or replace another one start flows.
    The topic `products` has few records besides the newest of each product. Code pools are never empty.

    \b
    takk simulate --from orders.avro --from shipments.avro --flow review@off --html review.html
    takk simulate --from orders.csv --from shipments.jsonl --mapping orders=shopify.yaml
    takk simulate --from topic --compare my-templates --days 90

    Exit codes: 0 success, 1 a file is not readable, a flow is unknown, or the flows contain errors.
    """
    from msgspec import to_builtins

    from streams.core.values.text import counted
    from streams.definitions.problems import FlowFileError
    from streams.tools.operations.importing.events import read_events
    from streams.tools.operations.importing.rows import ImportFailed
    from streams.tools.simulation.comparison import load_variants, read_files, read_topics, simulate_variants
    from streams.tools.simulation.history import HistoryError
    from streams.tools.simulation.outcome import UnknownFlow, table
    from streams.tools.simulation.report import page

    settings = read_settings(templates_dir=templates_dir)
    is_from_topics = "topic" in sources
    if is_from_topics and len(sources) > 1:
        raise click.UsageError(
            "--from: `topic` cannot be combined with files. To read a file of that name, use ./topic."
        )
    if html_file is not None:
        with writing(html_file):
            html_file.touch()  # fail now rather than after minutes of simulation
    try:
        variants = load_variants(settings, changes, compare)
        if is_from_topics:
            needs_products = any(ruleset.counts_sales or ruleset.catalogue_changes for ruleset in variants.values())
            inputs = on_kafka(settings, lambda: read_topics(settings, products_file, needs_products, show_progress))
        else:
            files, rows = _divided(sources)
            inputs = read_files(settings, files, products_file, show_progress)
            for kind, path in rows:
                mapping = _of_kind(mappings, kind)
                events, invalid = read_events(settings, path, kind, mapping, show_progress("read", "bytes of a file"))
                inputs.history.add(events, invalid)
    except FlowFileError as error:
        raise click.ClickException(f"the flows contain errors:\n{error}") from error
    except (HistoryError, ImportFailed, UnknownFlow) as error:
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
        click.echo(f"skipped {counted(count, 'invalid record')}: {rule}")
    for result in results:
        rate = result.events / max(result.seconds, 0.001)
        click.echo(
            f"{result.name}: {result.events:,} events in {result.seconds:.1f} s, {rate:,.0f} per second", err=True
        )


def _divided(sources: Sequence[str]) -> tuple[list[Path], list[tuple[str, Path]]]:
    """Return the Avro files, and the files with rows, each with the kind of its rows."""
    from streams.tools.operations.importing.events import ROW_FILES, kind_of

    files: list[Path] = []
    rows: list[tuple[str, Path]] = []
    for source in sources:
        kind, separator, name = source.partition("=")
        is_named = bool(separator) and kind.isalpha()
        path = Path(name if is_named else source)
        if is_named or path.suffix.lower() in ROW_FILES:
            rows.append((kind if is_named else kind_of(path), path))
        else:
            files.append(path)
    return files, rows


def _of_kind(mappings: Sequence[str], kind: str) -> Path | None:
    """Return the mapping file for the rows of a kind."""
    for mapping in mappings:
        named, separator, path = mapping.partition("=")
        if not separator:
            raise click.UsageError(f"--mapping: {mapping!r} has no kind of rows (hint: write orders={mapping})")
        if named == kind:
            return Path(path)
    return None
