"""`takk preview`: the emails of a templates folder, on a page, in a gallery, and before and after a change."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.tools.cli.options import read_settings, show_progress, templates_dir_option, writing

if TYPE_CHECKING:
    from streams.definitions.layers import Layers
    from streams.settings import Settings


@click.command()
@templates_dir_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8025,
    show_default=True,
    help="Port of the page; 0 selects a free one.",
)
@click.option("--to", default="", help='Email address that the page proposes for "Send me this".')
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write a gallery to this directory instead."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Compare with an earlier gallery in this directory. Needs --out.",
)
@click.option("--flow", "flows", multiple=True, help="Only this flow in the gallery. Repeatable.")
@click.option("--language", "languages", multiple=True, help="Only this language in the gallery. Repeatable.")
@click.option(
    "--samples",
    "has_samples",
    is_flag=True,
    help="Add sample data with every optional part, and with as few as possible.",
)
def preview(
    templates_dir: Path | None,
    port: int,
    to: str,
    out: Path | None,
    against: Path | None,
    flows: tuple[str, ...],
    languages: tuple[str, ...],
    has_samples: bool,
) -> None:
    """Show the emails on a local page, or write them as a gallery.

    The page has every message in each language, with each example, in two widths, in light and dark colors, and as text. It
    shows each change as soon as a file is saved, with what `takk flows check` finds beside it. "Send me this" sends one
    email through the mail server of SMTP_HOST. Pictures from other servers are replaced by drawings.

    Stories are invented customers over 60 days: each email as they get it, its reasons, and what did not come. `takk story`
    prints the same as text.

    Examples are example.json and example.<name>.json in the folder of a flow, and sample data.

    With --out, the command writes HTML, text, a page for each story and an index, and with Chromium a picture of each email. --against shows what a
    change did to each email, for a pull request: before, after and difference, the largest change first. Comparing pictures
    needs the extra takk[preview].

    \b
    takk preview --to me@shop.example
    takk preview --out before
    takk preview --out after --against before

    Exit codes: 0 success, also with changed emails; 1 the gallery cannot be written.
    """
    settings = read_settings(templates_dir=templates_dir)
    if not settings.templates_dir.is_dir():
        raise click.ClickException(f"{settings.templates_dir} is not a folder. `takk templates init` makes one")
    if out is None:
        if against is not None or flows or languages or has_samples:
            raise click.UsageError("--against, --flow, --language and --samples need --out")
        asyncio.run(_serve(settings, port, to))
        return
    from streams.definitions.layers import open_layers

    with open_layers(settings.templates_dir) as layers:
        _write(settings, layers, out, against, flows, languages, has_samples)


def _write(
    settings: Settings,
    layers: Layers,
    out: Path,
    against: Path | None,
    flows: tuple[str, ...],
    languages: tuple[str, ...],
    has_samples: bool,
) -> None:
    from streams.core.values.text import counted
    from streams.tools.preview.changes import InvalidGallery, compare
    from streams.tools.preview.chromium import ChromiumFailed, chromium
    from streams.tools.preview.emails import Emails
    from streams.tools.preview.gallery import write_gallery
    from streams.tools.preview.story_player import StoryPlayer

    if against is not None and against.resolve() == out.resolve():
        raise click.UsageError("--out and --against are the same directory")
    emails = Emails(layers.path, settings.mail_from)
    stories = StoryPlayer(emails, layers, settings) if not (flows or languages) else None
    variants = [
        variant
        for variant in emails.variants(has_samples=has_samples)
        if (not flows or variant.flow in flows) and (not languages or variant.language in languages)
    ]
    if not variants:
        raise click.ClickException("no message is selected. `takk flows list` lists the flows and their messages")
    if chromium() is None:
        click.echo(
            "Chromium is not installed, so the gallery has no pictures. On Debian and Ubuntu: apt-get install chromium",
            err=True,
        )
    try:
        with writing(out):
            written = write_gallery(emails, variants, out, show_progress("drew", "emails"), stories)
            changes = compare(against, out) if against is not None else None
    except (ChromiumFailed, InvalidGallery) as error:
        raise click.ClickException(str(error)) from error
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"comparing pictures needs the package {error.name}: install the extra takk[preview]"
        ) from error
    for problem in written.problems:
        click.echo(problem, err=True)
    click.echo(
        f"Wrote {counted(written.emails, 'email')}, {counted(written.pictures, 'picture')} "
        f"and {counted(written.stories, 'story', 'stories')}: {out / 'index.html'}"
    )
    if changes is not None:
        for line in changes.lines():
            click.echo(line)
        click.echo(f"See {out / 'changes.html'}")


async def _serve(settings: Settings, port: int, to: str) -> None:
    """Serve the page until SIGINT or SIGTERM."""
    from aiohttp import web

    from streams.tools.preview.server import PreviewServer
    from streams.tools.preview.state import PreviewState

    server = PreviewServer(PreviewState(settings, settings.templates_dir.absolute()), to)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on port {port}: {error.strerror}. Choose another --port"
            ) from error
        click.echo(f"Emails of {settings.templates_dir}: http://127.0.0.1:{runner.addresses[0][1]}/ (Ctrl-C stops)")
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        waiting = [asyncio.create_task(stopping.wait()), server.watching]
        done, _ = await asyncio.wait(
            [task for task in waiting if task is not None], return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()  # an error while watching ends the command
    finally:
        await runner.cleanup()
