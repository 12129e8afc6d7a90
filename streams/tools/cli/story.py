"""`takk story`: the emails of an invented customer over 60 days, and what did not come."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.tools.cli.options import read_settings, templates_dir_option, writing

if TYPE_CHECKING:
    from streams.tools.preview.story_player import StoryOptions, StoryPlayer
    from streams.tools.stories.played_story import PlayedStory


@click.command()
@click.argument("name", required=False)
@click.option("--days", type=click.IntRange(1, 366), default=60, show_default=True, help="Length of the story in days.")
@click.option(
    "--start",
    type=click.DateTime(("%Y-%m-%d",)),
    metavar="DATE",
    help="First day, for example 2026-12-04, a Friday in December. Default: 2026-03-02, a Monday.",
)
@click.option("--language", default="", help="Language of the customer, such as nb. Default: that of the story.")
@click.option("--drafts", "has_drafts", is_flag=True, help="Let drafts send too, as if they were live.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with all emails to this file.",
)
@templates_dir_option
def story(
    name: str | None,
    days: int,
    start: datetime | None,
    language: str,
    has_drafts: bool,
    as_json: bool,
    html_file: Path | None,
    templates_dir: Path | None,
) -> None:
    """Show the emails of an invented customer over 60 days, and why.

    Without NAME, the command lists the stories. With it, the events of the story run through your flows, with the real rules
    on a virtual clock. The output has each event, each email with its subject and the reasons for it, and each flow that
    sent nothing, with its reason in the words of `takk why`. It needs no Kafka and sends nothing.

    Stories that come with Takk: a first order, a loyal customer, a parcel to Norway, a late parcel, a pickup, a return, and
    a customer who goes quiet. Files stories/NAME.yaml in your templates folder add your own;
    templates/PREVIEW.md explains them. `takk preview` shows the same stories with their emails, on a page.

    \b
    takk story
    takk story first-time
    takk story vip --start 2026-12-04 --language en
    takk story quiet --drafts --days 120 --html quiet.html

    Exit codes: 0 success, 1 the story is unknown, or the stories or flows contain errors.
    """
    from streams.core.values.text import nearest
    from streams.definitions.layers import open_layers
    from streams.tools.preview.emails import Emails
    from streams.tools.preview.story_player import YEARS, StoryOptions, StoryPlayer
    from streams.tools.stories.playing import FIRST_DAY
    from streams.tools.stories.reader import LANGUAGE

    settings = read_settings(templates_dir=templates_dir)
    root = settings.templates_dir
    if not root.is_dir():
        raise click.ClickException(f"{root} is not a folder. `takk templates init` makes one")
    if name is None and html_file is not None:
        raise click.UsageError("--html needs the name of a story")
    with open_layers(root) as layers:
        stories = StoryPlayer(Emails(layers.path, settings.mail_from), layers, settings)
        _print_problems(stories, name)
        if name is None:
            _list(stories, as_json)
            return
        if name not in stories.stories:
            raise click.ClickException(f"unknown story {name!r}; {nearest(name, list(stories.stories))}")
        first_day = start.date() if start is not None else FIRST_DAY
        if first_day.year not in YEARS:
            raise click.UsageError(f"--start: use a year from {YEARS[0]} to {YEARS[-1]}")
        if language and not LANGUAGE.match(language):
            raise click.UsageError(f"--language: {language!r} is not the code of a language, such as da, nb or en")
        options = StoryOptions(name=name, language=language, first_day=first_day, days=days, has_drafts=has_drafts)
        _play(stories, options, as_json, html_file)


def _print_problems(stories: StoryPlayer, name: str | None) -> None:
    """Print the problems of the shop's stories, and end the command if they concern the story that is played."""
    problems = stories.files.problems
    for problem in problems:
        click.echo(str(problem), err=True)
    if name is not None and problems and name not in stories.stories:
        raise click.ClickException(f"the story {name!r} cannot be played because of these errors")


def _list(stories: StoryPlayer, as_json: bool) -> None:
    from streams.core.values.text import counted
    from streams.tools.stories.story_text import format_stories

    if as_json:
        listed = [
            {"story": each.name, "title": each.title, "about": each.about, "language": each.customer.language}
            for each in stories.stories.values()
        ]
        click.echo(json.dumps({"stories": listed}))
    else:
        click.echo("\n".join(format_stories(stories.stories.values())))
    if stories.files.problems:
        raise click.ClickException(counted(len(stories.files.problems), "error"))


def _play(stories: StoryPlayer, options: StoryOptions, as_json: bool, html_file: Path | None) -> None:
    from streams.definitions.problems import FlowFileError
    from streams.tools.preview.story_pages import story_file
    from streams.tools.stories.story_text import format_played

    try:
        played: PlayedStory = stories.play(options)
    except FlowFileError as error:
        raise click.ClickException(f"the flows contain errors:\n{error}") from error
    if html_file is not None:
        with writing(html_file):
            html_file.write_text(story_file(stories, played), encoding="utf-8")
        click.echo(f"Wrote {html_file}", err=as_json)
    if as_json:
        click.echo(json.dumps(played.as_json()))
    elif html_file is None:
        click.echo("\n".join(format_played(played)))
