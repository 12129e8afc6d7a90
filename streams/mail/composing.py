"""The bytes of an email: its products chosen, rendered, and composed with its links."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.core.offers.assortment import Assortment
from streams.core.offers.popularity import week_of
from streams.core.offers.recommendations import REQUEST_KEY, fulfil
from streams.mail.click_links import track_links
from streams.mail.command import Command
from streams.mail.links import Sender
from streams.mail.mime import Unsendable, compose
from streams.mail.newer_templates import NewerTemplates
from streams.mail.outcomes import report_unrenderable
from streams.mail.rendering.renderer import MissingMessage, Renderer, RenderError
from streams.mail.report import Report
from streams.observability import metrics


class Composer:
    """Renders commands and composes their emails.

    Args:
        renderer: renders a command.
        sender: the sender of the emails.
        newest_versions: flow -> its newest version in the templates.
        backoff_scale: factor of the backoff of emails that wait for newer templates.

    Attributes:
        assortment: the products that emails may recommend.
    """

    def __init__(
        self, renderer: Renderer, sender: Sender, newest_versions: Mapping[str, int], backoff_scale: float
    ) -> None:
        self.assortment = Assortment()
        self._renderer = renderer
        self._sender = sender
        self._newer_templates = NewerTemplates(newest_versions, backoff_scale)

    def compose(self, command: Command, now: datetime) -> bytes | Report:
        """Return the bytes of the email, or the report of a command that has no email, or none yet.

        Args:
            command: the command.
            now: the current time, UTC.
        """
        waiting = self._newer_templates.wait_for_version(command, now)
        if waiting is not None:
            return waiting
        try:
            complete = self._fill_products(command)
            if complete is None:
                return Report(command=command, outcome="suppressed", at=now, rule="too_few_products")
            return self._render(complete, now)
        except msgspec.ValidationError as error:
            return report_unrenderable(command, now, f"{REQUEST_KEY}: {error}")
        except Unsendable as error:
            return Report(command=command, outcome="refused", at=now, rule="unsendable", text=error.reason)
        except MissingMessage as error:
            waiting = self._newer_templates.wait_for_message(command, now, str(error))
            return waiting or report_unrenderable(command, now, str(error))
        except RenderError as error:
            return report_unrenderable(command, now, str(error))

    def _fill_products(self, command: Command) -> Command | None:
        """Return the command with the products it requests, or None if the assortment has too few."""
        if REQUEST_KEY not in command.context:
            return command
        products = fulfil(command.context[REQUEST_KEY], self.assortment, week_of(command.commanded_at))
        return None if products is None else replace(command, context={**command.context, "products": products})

    def _render(self, command: Command, now: datetime) -> bytes:
        started = time.perf_counter()
        links = self._sender.links(command)
        email = track_links(self._renderer.render(command, links), links, self._sender)
        data = compose(self._sender, command, email, links, now)
        _render_seconds(command.flow).observe(time.perf_counter() - started)
        return data


@cache  # bounded like the labels; `labels` is slower
def _render_seconds(flow: str) -> Any:
    return metrics.RENDER_SECONDS.labels(flow)
