"""`takk flows`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.tools.cli.options import (
    on_kafka,
    read_settings,
    read_valid_templates,
    show_progress,
    templates_dir_option,
    writing,
)

if TYPE_CHECKING:
    from streams.core.model.flow import Flow
    from streams.settings import Settings


@click.group()
def flows() -> None:
    """The flows: who gets which mail when."""


@flows.command("check")
@templates_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all of it.")
@click.pass_context
def flows_check(context: click.Context, templates_dir: Path | None, as_json: bool) -> None:
    """Find every mistake in flows, their messages, segments and rules.

    Do it before a worker does: it does not start with one. Each is printed as file:line:column, what is wrong, and what would be right.
    Found are words that are not understood, but also arms and steps that nobody ever comes to, events that can never come, and
    experiments that do not go together. Each message is rendered with made-up facts, in all its languages. A warning is something that is
    pointless and does no harm. Needs no Kafka. Exit code 1 if there is a mistake, 0 if there are only warnings.
    """
    from streams.core.values.text import counted
    from streams.definitions.checks.messages import check_messages
    from streams.definitions.loader import read_templates

    root = read_settings(templates_dir=templates_dir).templates_dir
    found = read_templates(root)
    rules, errors = found.rules, [*found.errors, *check_messages(root, found.flows)]
    in_force = len(rules.caps) + sum(
        map(bool, (rules.quiet, rules.holdout, rules.pause_if_late, rules.pause_after_refund, rules.pause_series))
    )
    older = len(found.flows) - len(found.newest)
    if as_json:
        counts = {"flows": len(found.newest), "older": older, "segments": len(found.segments), "rules": in_force}
        levels = {"errors": errors, "warnings": found.warnings}
        lists = {level: [problem.as_json() for problem in problems] for level, problems in levels.items()}
        click.echo(json.dumps(counts | lists))
    else:
        for problem in (*errors, *found.warnings):
            click.echo(str(problem), err=True)
        what = [counted(len(found.newest), "flow"), counted(len(found.segments), "segment"), counted(in_force, "rule")]
        if older:
            what.insert(1, counted(older, "older version"))
        said = counted(len(errors), "mistake") if errors else "no mistakes"
        warned = f", {counted(len(found.warnings), 'warning')}" if found.warnings else ""
        click.echo(f"{', '.join(what)}: {said}{warned}.")
    context.exit(1 if errors else 0)


@flows.command("list")
@templates_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def flows_list(templates_dir: Path | None, as_json: bool) -> None:
    """List the flows.

    Name, version, status, purpose, what triggers it, and the messages it sends. An older version that is kept for the customers who are
    still on it (flow.v<version>.yaml) is triggered by nothing.
    """
    from streams.core.model.flow import Send, all_steps

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
        raise click.ClickException(f"there is no flow {name!r}; {nearest(name, sorted({flow.name for flow in flows}))}")
    return sorted(versions, key=lambda flow: flow.version)


@flows.command("show")
@click.argument("name", metavar="FLOW")
@templates_dir_option
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

    versions = {flow.version: flow for flow in _versions(read_settings(templates_dir=templates_dir), name)}
    if version is not None and version not in versions:
        raise click.ClickException(f"there is no version {version} of {name}; known: {', '.join(map(str, versions))}")
    flow = versions[version or max(versions)]
    if svg is not None:
        with writing(svg):
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
@templates_dir_option
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
        raise click.ClickException(f"{counted(len(plan.problems), 'mistake')} in the mapping.")
    customers = None
    if is_counting:
        from streams.tools.operations.customer_states import read_customers

        customers = on_kafka(settings, lambda: read_customers(settings, show_progress()))
    for line in preview(plan.old, plan.new, plan.migration, customers):
        click.echo(line)
