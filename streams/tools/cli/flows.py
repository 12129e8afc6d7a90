"""`takk flows`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.tools.cli.audience import flows_audience
from streams.tools.cli.explain import flows_explain
from streams.tools.cli.new_flow import flows_new
from streams.tools.cli.options import (
    on_kafka,
    read_settings,
    read_valid_templates,
    show_progress,
    templates_dir_option,
    writing,
)

if TYPE_CHECKING:
    from streams.core.rules.flow import Flow
    from streams.settings import Settings


@click.group()
def flows() -> None:
    """Check, list, show, copy, explain, count and migrate flows."""


flows.add_command(flows_audience)
flows.add_command(flows_explain)
flows.add_command(flows_new)


@flows.command("check")
@templates_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def flows_check(context: click.Context, templates_dir: Path | None, as_json: bool) -> None:
    """Check flows, messages, segments, rules and the brand.

    Run this before deploying. A worker does not start with errors in flows, segments, rules or the consent policy. It starts
    with invalid messages, but cannot send them. A gateway does not start with errors in the brand. Neither does a mailer, unless
    they concern only pages.

    Each problem is printed as file:line:column, with an id, what is wrong and a hint. templates/LANGUAGE.md explains the ids.
    Errors are invalid keys and values, unreachable steps and branches, events that can never occur, and messages that
    cannot be rendered: each message is rendered with sample data in every language. Warnings point out redundant
    configuration, texts that no template uses, emails without a link to unsubscribe or without your legal lines, links that lead
    nowhere, images and markup that email programs cannot show, texts that cannot be read, receipts that do not add up, emails
    and subjects that are cut, subjects like spam, emails that can expire in the quiet hours, campaigns that are over, and
    service emails with offers.
    Errors in your stories are reported too. They stop `takk story`, but neither a worker nor `takk templates publish`.
    Service emails are listed for review, and so are the languages that stand in for others. Needs no Kafka.

    \b
    takk flows check
    takk flows check --templates my-templates --json

    Exit codes: 0 no errors (there may be warnings), 1 errors.
    """
    from streams.core.values.text import counted
    from streams.definitions.all_problems import check_all
    from streams.definitions.checks.languages import OTHERS, fallbacks
    from streams.definitions.checks.transactional import service_messages
    from streams.definitions.layers import open_layers
    from streams.tools.stories.story_files import read_stories

    settings = read_settings(templates_dir=templates_dir)
    with open_layers(settings.templates_dir) as layers:
        checked = check_all(layers, datetime.now(UTC))
        languages = fallbacks(layers.path) if checked.templates.flows else {}
    stories = read_stories(settings.templates_dir, settings.schemas_dir).problems
    templates, errors, warnings = checked.templates, (*checked.errors, *stories), checked.warnings
    rules = templates.rules
    rule_count = len(rules.caps) + sum(
        map(bool, (rules.quiet, rules.holdout, rules.pause_if_late, rules.pause_after_refund, rules.pause_series))
    )
    older = len(templates.flows) - len(templates.newest)
    service = service_messages(templates.flows)
    if as_json:
        counts = {
            "flows": len(templates.newest),
            "older": older,
            "segments": len(templates.segments),
            "rules": rule_count,
        }
        levels = {"errors": errors, "warnings": warnings}
        lists = {level: [problem.as_json() for problem in problems] for level, problems in levels.items()}
        click.echo(json.dumps(counts | lists | {"service": service, "languages": languages}))
    else:
        for problem in (*errors, *warnings):
            click.echo(str(problem), err=True)
        for name in service:
            click.echo(f"to review: {name} is a service email, which customers get without consent")
        others = "".join(languages.pop(OTHERS, []))
        if len(languages) > 1:
            chains = [" > ".join(chain) for chain in languages.values()]
            click.echo(f"languages: {', '.join(chains)}; all others get {others}")
        parts = [
            counted(len(templates.newest), "flow"),
            counted(len(templates.segments), "segment"),
            counted(rule_count, "rule"),
        ]
        if older:
            parts.insert(1, counted(older, "older version"))
        result = counted(len(errors), "error") if errors else "no errors"
        warned = f", {counted(len(warnings), 'warning')}" if warnings else ""
        click.echo(f"{', '.join(parts)}: {result}{warned}.")
    context.exit(1 if errors else 0)


@flows.command("list")
@templates_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def flows_list(templates_dir: Path | None, as_json: bool) -> None:
    """List the flows.

    Prints the name, version, status, purpose, trigger and messages of each flow. Older versions (flow.v<version>.yaml) have no
    trigger: they only finish the customers who started with them. Exit code 1 if the flows contain errors.

    \b
    takk flows list
    takk flows list --json
    """
    from streams.core.rules.flow import Send, all_steps

    templates = read_valid_templates(read_settings(templates_dir=templates_dir))
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


def _versions(settings: Settings, name: str) -> list[Flow]:
    """Return the versions of one flow, the oldest first.

    Raises:
        click.ClickException: there is no such flow, or the templates contain errors.
    """
    from streams.core.values.text import nearest

    flows = read_valid_templates(settings).flows
    versions = [flow for flow in flows if flow.name == name]
    if not versions:
        raise click.ClickException(f"unknown flow {name!r}; {nearest(name, sorted({flow.name for flow in flows}))}")
    return sorted(versions, key=lambda flow: flow.version)


@flows.command("show")
@click.argument("name", metavar="FLOW")
@templates_dir_option
@click.option("--version", type=click.IntRange(1), help="Version to draw. Default: the newest.")
@click.option("--mermaid", "is_mermaid", is_flag=True, help="Print a Mermaid flowchart, for Markdown pages.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the flow as SVG to this file.")
def flows_show(name: str, templates_dir: Path | None, version: int | None, is_mermaid: bool, svg: Path | None) -> None:
    """Show a flow: its trigger, waits, splits and emails.

    The number of a step is its path. Decisions and `takk flows migrate` use it. Exit code 1 if the flow is unknown.

    \b
    takk flows show review
    takk flows show review --svg review.svg
    """
    from streams.definitions.views.graph import as_mermaid, as_text
    from streams.definitions.views.svg import as_svg

    versions = {flow.version: flow for flow in _versions(read_settings(templates_dir=templates_dir), name)}
    if version is not None and version not in versions:
        raise click.ClickException(f"unknown version {version} of {name}; known: {', '.join(map(str, versions))}")
    flow = versions[version or max(versions)]
    if svg is not None:
        with writing(svg):
            svg.write_text(as_svg(flow), encoding="utf-8")
        click.echo(f"Wrote {svg}.")
    else:
        click.echo(as_mermaid(flow) if is_mermaid else as_text(flow), nl=False)


@flows.command("schema")
def flows_schema() -> None:
    """Print the JSON Schema of a flow.yaml, for editors.

    Editors use it for completion, and to mark invalid keys. `takk flows check` finds more errors.

    \b
      takk flows schema > .takk/flow.schema.json
    In VS Code with the YAML extension, in settings.json:
      "yaml.schemas": {".takk/flow.schema.json": "templates/flows/*/*/flow*.yaml"}
    In other editors, as the first line of a flow.yaml:
      # yaml-language-server: $schema=../../../../.takk/flow.schema.json
    """
    from streams.definitions.views.json_schema import flow_schema

    click.echo(json.dumps(flow_schema(), indent=2))


class _Mapped(click.ParamType):
    """OLD=NEW, the paths of two steps."""

    name = "path=path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        old, equals, new = str(value).partition("=")
        if not (old and equals and new):
            self.fail(f"{value!r} is not OLD=NEW, e.g. 1.0=2.0.0", param, ctx)
        return old.strip(), new.strip()


@flows.command("migrate")
@click.argument("name", metavar="FLOW")
@templates_dir_option
@click.option(
    "--from", "version", type=click.IntRange(1), help="Version to migrate from. Default: the newest older version."
)
@click.option(
    "--map", "steps", type=_Mapped(), multiple=True, help="Move customers waiting at step OLD to step NEW. Repeatable."
)
@click.option(
    "--count", "is_counting", is_flag=True, help="Count the customers waiting at each step; reads the state from Kafka."
)
def flows_migrate(
    name: str, templates_dir: Path | None, version: int | None, steps: tuple[tuple[str, str], ...], is_counting: bool
) -> None:
    """Plan the migration of customers to a flow's newest version.

    Customers finish a flow on the version they started with, which is kept as flow.v<version>.yaml. To move them to the newest
    version, map each step where customers wait to the step where they continue. Without --map this command lists the steps
    where customers can wait, and the mapping that flow.yaml contains.

    The command changes nothing: it checks that no customer would receive an email twice, and prints the lines for flow.yaml.
    With these lines, the workers move each customer when the current wait ends.

    \b
    takk flows migrate review                             list the steps where customers can wait
    takk flows migrate review --map 1.0.0=2.0.0 --count   print the mapping, and how many customers it moves

    Exit codes: 0 the mapping is valid, 1 it is not, or there is no older version.
    """
    from streams.core.values.text import counted
    from streams.definitions.views.migration_plan import NoMigration, plan_migration, preview

    settings = read_settings(templates_dir=templates_dir)
    try:
        plan = plan_migration(_versions(settings, name), version, dict(steps))
    except NoMigration as error:
        raise click.ClickException(str(error)) from error
    for problem in plan.problems:
        click.echo(problem.text, err=True)
    if plan.problems:
        raise click.ClickException(f"{counted(len(plan.problems), 'error')} in the mapping.")
    customers = None
    if is_counting:
        from streams.tools.operations.customer_states import read_customers

        customers = on_kafka(settings, lambda: read_customers(settings, show_progress()))
    for line in preview(plan.old, plan.new, plan.migration, customers):
        click.echo(line)
