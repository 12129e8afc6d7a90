"""Stories with their emails, as the pages and `takk story` show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from threading import Lock

from msgspec import Struct

from streams.definitions.layers import Layers
from streams.definitions.loader import load_ruleset
from streams.mail.command import Command
from streams.settings import Settings
from streams.tools.preview.emails import EmailFailed, Emails
from streams.tools.preview.shown_html import preheader
from streams.tools.stories.played_story import PlayedStory, Shown
from streams.tools.stories.playing import DAYS, FIRST_DAY, play, with_drafts
from streams.tools.stories.story import Story
from streams.tools.stories.story_files import Stories, read_stories

#: The years in which a story may start. Records may be of its past and its future then.
YEARS = range(2003, 2098)
#: Played stories that are kept, for the frames of their emails.
MOST_KEPT = 16


class StoryOptions(Struct, frozen=True, kw_only=True):
    """How a story is played: the arguments of `play` that a reader chooses, and whether drafts count as live."""

    name: str
    language: str = ""
    first_day: date = FIRST_DAY
    days: int = DAYS
    has_drafts: bool = False


class StoryPlayer:
    """The stories of one state of a templates folder. Methods may be called from several threads.

    Args:
        emails: renders the emails.
        layers: the templates folder, and that of the shop, with its own stories.
        settings: the settings of the shop.
    """

    def __init__(self, emails: Emails, layers: Layers, settings: Settings) -> None:
        self.emails = emails
        self._layers = layers
        self._settings = settings
        self._read: Stories = read_stories(layers.shop, settings.schemas_dir)
        self._played: dict[StoryOptions, PlayedStory] = {}
        self._lock = Lock()

    @property
    def stories(self) -> Mapping[str, Story]:
        """The stories by name."""
        return self._read.stories

    @property
    def files(self) -> Stories:
        """The stories, and the problems of their files."""
        return self._read

    def play(self, options: StoryOptions) -> PlayedStory:
        """Return a story as it is played.

        Raises:
            KeyError: the story is unknown.
            FlowFileError: the templates folder contains errors.
        """
        story = self.stories[options.name]
        with self._lock:
            if options not in self._played:
                # A story lasts real days, whatever the days of a demo last, and it has no gateway with pages.
                arguments = self._settings.ruleset_options() | {"day_scale": 1.0, "shows_pages": False}
                ruleset = load_ruleset(self._layers, **arguments)
                self._played[options] = play(
                    with_drafts(ruleset) if options.has_drafts else ruleset,
                    story,
                    self._settings.schemas_dir,
                    self._show,
                    first_day=options.first_day,
                    days=options.days,
                    language=options.language,
                )
                if len(self._played) > MOST_KEPT:
                    del self._played[next(iter(self._played))]
            return self._played[options]

    def _show(self, command: Command) -> Shown:
        try:
            email = self.emails.rendered(command)
        except EmailFailed as error:
            return Shown(f"{command.flow}/{command.message}", error=str(error))
        return Shown(email.subject, preheader(email.html))
