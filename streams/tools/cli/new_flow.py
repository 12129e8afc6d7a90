"""`takk flows new`."""

from __future__ import annotations

from pathlib import Path

import click

from streams.tools.cli.options import read_settings, templates_dir_option


@click.command("new")
@click.argument("name")
@click.option("--from", "source", metavar="FLOW", required=True, help="Flow to copy, of your templates or of Takk's.")
@click.option("--group", default="", help="Group of the new flow. Default: the group of the copied one.")
@templates_dir_option
def flows_new(name: str, source: str, group: str, templates_dir: Path | None) -> None:
    """Copy a flow under a new name, as a draft.

    The copy has the messages, the texts and the examples. It is version 1 and a draft: it sends nothing until you set
    `status: live`. A flow of your own templates is copied first, else one of Takk's. Existing files are never overwritten.

    \b
    takk flows new boots-care --from thank-you
    takk flows new boots-care --from thank-you --group care --templates ~/shop

    Exit code 1 if the flow exists, or the one to copy is unknown.
    """
    from streams.mail.rendering.template_folders import flow_folders
    from streams.settings import PROJECT_ROOT
    from streams.tools.preview.new_flow import CannotCopy, copy_flow

    root = read_settings(templates_dir=templates_dir).templates_dir
    library = PROJECT_ROOT / "templates"
    try:
        folder = copy_flow(root if source in flow_folders(root) else library, source, root, name, group)
    except CannotCopy as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot copy {source}: {error.strerror}: {error.filename}") from error
    option = f" --templates {templates_dir}" if templates_dir is not None else ""
    click.echo(f"Wrote {folder}, a copy of {source} and a draft. Next:")
    click.echo("1. Change when it starts and what it sends: flow.yaml")
    click.echo("2. Change what its emails say: copy/<language>.yaml, and <message>.html.j2 with <message>.txt.j2")
    click.echo(f"3. See the emails while you edit: takk preview{option}")
    click.echo(f"4. Check it: takk flows check{option}")
    click.echo(f"5. See what it would send: takk simulate --from topic --flow {name}@draft{option}")
    directory = f" {templates_dir}" if templates_dir is not None else ""
    click.echo(f"6. Set `status: live` in flow.yaml, and use it: takk templates publish{directory}")
