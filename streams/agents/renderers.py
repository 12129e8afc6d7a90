"""The renderer of a mailer's settings: in the mailer's process, or in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streams.definitions.loader import load_email_brand
from streams.definitions.problems import FlowFileError
from streams.mail.links import Sender
from streams.mail.renderers.messages import Setup
from streams.mail.renderers.pool import RendererFailed, RendererPool
from streams.mail.rendering.renderer import Renderer
from streams.settings import Settings

#: Processors of a machine from which a mailer has one renderer, and from which it has two.
FOR_ONE, FOR_TWO = 2, 4


def open_renderer(settings: Settings, sender: Sender, templates_dir: Path | None = None) -> Renderer | RendererPool:
    """Return what renders the emails of `sender`. No process has started yet.

    Args:
        settings: the settings.
        sender: the sender of the emails.
        templates_dir: the folder to read; by default that of the settings.

    Raises:
        SystemExit: the brand contains errors. Other errors in templates concern single messages, and this one all emails.
    """
    folder = settings.templates_dir if templates_dir is None else templates_dir
    try:
        brand = load_email_brand(folder, sender.name)
    except FlowFileError as error:
        # The commands wait on their topic, and mailers that run already keep the brand that they have read.
        sys.exit("\n".join(["cannot start: the brand of the emails contains errors:", *error.errors]))
    size = default_size(_processors()) if settings.mail_renderers is None else settings.mail_renderers
    if size == 0:
        return Renderer(folder, brand)
    return RendererPool(Setup(folder, sender, brand), size)


def default_size(processors: int) -> int:
    """Return how many renderers a mailer has on a machine with so many processors."""
    return (processors >= FOR_ONE) + (processors >= FOR_TWO)


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Renderers:
    """The renderer processes of a mailer, started and stopped with it.

    Args:
        renderer: what renders. Nothing is started if it is not a pool.
    """

    def __init__(self, renderer: object) -> None:
        self._pool = renderer if isinstance(renderer, RendererPool) else None

    async def start(self) -> None:
        """Start the processes. They are ready later.

        Raises:
            SystemExit: there are too few processes, descriptors or memory.
        """
        if self._pool is not None:
            try:
                await self._pool.start()
            except OSError as error:
                sys.exit(f"cannot start: a renderer process (TAKK_MAIL_RENDERERS) cannot be started: {error.strerror}")

    async def until_ready(self) -> None:
        """Wait until they are ready.

        Raises:
            SystemExit: one of them ended.
        """
        if self._pool is not None:
            try:
                await self._pool.until_ready()
            except RendererFailed as error:
                sys.exit(
                    f"cannot start: {error}. Its error is above; TAKK_MAIL_RENDERERS=0 renders in the mailer's process"
                )

    async def stop(self) -> None:
        """End the processes."""
        if self._pool is not None:
            await self._pool.stop()
