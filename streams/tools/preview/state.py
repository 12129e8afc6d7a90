"""The state of the local page: the emails of the folder as it is now, its problems, and who waits for changes."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from streams.definitions.all_problems import check_all
from streams.definitions.layers import Layers, open_layers
from streams.settings import Settings
from streams.tools.preview.emails import Emails
from streams.tools.preview.placed_problems import PlacedProblem, place
from streams.tools.preview.story_player import StoryPlayer
from streams.tools.preview.watching import fingerprint

#: Seconds between two looks at the files.
LOOK_S = 0.4
#: Seconds after which a stream of events gets a comment, so that a closed page is noticed.
KEEP_ALIVE_S = 15.0


class PreviewState:
    """The folder as the page shows it. For one event loop.

    Args:
        settings: the header From, and the mail server.
        root: the templates folder.

    Attributes:
        emails: the emails of the folder as it is now.
        problems: its problems; empty until the first check has ended.
        is_checked: whether `problems` are those of `emails`.
    """

    def __init__(self, settings: Settings, root: Path) -> None:
        self.settings = settings
        self.root = root
        #: The folders that are open: the present one and the one before, whose emails may still be drawn.
        self._open: deque[ExitStack] = deque()
        self._layers = self._read()
        self.emails = Emails(self._layers.path, settings.mail_from)
        self.problems: tuple[PlacedProblem, ...] = ()
        self.is_checked = False
        #: Differs between two runs, so that an open page loads the new one.
        self._run = secrets.token_hex(4)
        self._number = 0
        self._stories: StoryPlayer | None = None
        self._stories_lock = Lock()
        self._changed = asyncio.Condition()
        self._is_closing = False

    @property
    def version(self) -> str:
        """The version of what a page shows."""
        return f"{self._run}-{self._number}"

    @property
    def layers(self) -> Layers:
        """The templates folder as it is read now."""
        return self._layers

    def stories(self) -> StoryPlayer:
        """Return the stories of the folder as it is now. It may be called from several threads."""
        with self._stories_lock:
            if self._stories is None or self._stories.emails is not self.emails:
                self._stories = StoryPlayer(self.emails, self._layers, self.settings)
            return self._stories

    async def watch(self) -> None:
        """Check the folder, and again after each change, until the task is cancelled."""
        seen = await asyncio.to_thread(fingerprint, self.root)
        await self._check()
        while True:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(fingerprint, self.root)
            if now == seen:
                continue
            try:
                self._layers = await asyncio.to_thread(self._read)
            except OSError:  # an editor is just saving: the next look sees the change again
                continue
            seen = now
            self.emails = Emails(self._layers.path, self.settings.mail_from)
            self.is_checked = False
            await self._publish()
            await self._check()

    async def changes(self, version: str) -> AsyncIterator[str | None]:
        """Yield each version after `version`, and None from time to time."""
        while not self._is_closing:
            async with self._changed:
                if version == self.version:
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_S):
                            await self._changed.wait()
                    except TimeoutError:
                        yield None
                        continue
                version = self.version
            yield version

    async def close(self) -> None:
        """End all streams of changes."""
        self._is_closing = True
        async with self._changed:
            self._changed.notify_all()
        while self._open:
            self._open.pop().close()

    def _read(self) -> Layers:
        stack = ExitStack()
        layers = stack.enter_context(open_layers(self.root))
        self._open.append(stack)
        if len(self._open) > 2:
            self._open.popleft().close()
        return layers

    async def _check(self) -> None:
        emails, layers = self.emails, self._layers
        try:
            checked = await asyncio.to_thread(check_all, layers, datetime.now(UTC))
        except OSError:  # an editor has removed or renamed a file during the check: that change starts another one
            return
        problems = place((*checked.errors, *checked.warnings), layers)
        if emails is self.emails:
            self.problems, self.is_checked = problems, True
            await self._publish()

    async def _publish(self) -> None:
        async with self._changed:
            self._number += 1
            self._changed.notify_all()
