"""The emails of commands: products chosen, rendered, and composed with links, in this process or in renderer processes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import orjson
import structlog
from msgspec.structs import replace

from streams.core.offers.assortment import Assortment
from streams.core.offers.popularity import week_of
from streams.core.offers.recommendations import REQUEST_KEY, fulfil
from streams.core.offers.shown_product import completed
from streams.mail.command import Command
from streams.mail.newer_templates import NewerTemplates
from streams.mail.outcomes import report_unrenderable
from streams.mail.renderers.emails import Email
from streams.mail.report import Report
from streams.observability import metrics

log = structlog.get_logger(__name__)

#: The rule of emails that have ended their renderer.
CRASHED = "crashed"


class Composer:
    """Prepares commands for rendering, and judges the results.

    Args:
        newest_versions: flow -> its newest version in the templates.
        backoff_scale: factor of the backoff of emails that wait for newer templates.

    Attributes:
        assortment: the products that emails may recommend.
    """

    def __init__(self, newest_versions: Mapping[str, int], backoff_scale: float) -> None:
        self.assortment = Assortment()
        self._newer_templates = NewerTemplates(newest_versions, backoff_scale)

    def prepare(self, command: Command, now: datetime) -> Command | Report:
        """Return a command with the products it requests, or the report of a command that has no email, or none yet.

        Args:
            command: the command.
            now: the current time, UTC.
        """
        waiting = self._newer_templates.wait_for_version(command, now)
        if waiting is not None:
            return waiting
        if not command.requests_products:
            return command
        context = command.context
        found = completed(context, self.assortment.catalogue)
        if REQUEST_KEY not in context:
            return replace(command, context_json=orjson.dumps({**context, **found}).decode())
        try:
            fulfilled = fulfil(context[REQUEST_KEY], self.assortment, week_of(command.commanded_at))
        except msgspec.ValidationError as error:
            return report_unrenderable(command, now, f"{REQUEST_KEY}: {error}")
        if fulfilled is None:
            return Report(command=command, outcome="suppressed", at=now, rule="too_few_products")
        return replace(command, context_json=orjson.dumps({**context, **found, **fulfilled}).decode())

    def judge(self, command: Command, email: Email, now: datetime) -> bytes | Report:
        """Return the bytes of an email, or the report of its problem.

        Args:
            command: the command of the email.
            email: the result of rendering it.
            now: the current time, UTC.
        """
        problem, text = email.problem, email.text
        if problem is None:
            _render_seconds(command.flow).observe(email.seconds)
            if email.lacks:
                log.warning(
                    "an email carries a receipt instead of an invoice",
                    send_id=command.send_id,
                    flow=command.flow,
                    reason=f"the order or the brand lacks {email.lacks}",
                )
            return email.data
        if problem == "unsendable":
            return Report(command=command, outcome="refused", at=now, rule="unsendable", text=text)
        if problem == "missing_message":
            waiting = self._newer_templates.wait_for_message(command, now, text)
            return waiting or report_unrenderable(command, now, text)
        if problem == "incorrect_document":
            text = f"{command.attach}: {text}"
            return Report(command=command, outcome="refused", at=now, rule="incorrect_document", text=text)
        if problem == "unrenderable":
            return report_unrenderable(command, now, text)
        log.error("composing an email failed", send_id=command.send_id, rule=problem, reason=text)
        if problem == "crashed":
            return Report(command=command, outcome="refused", at=now, rule=CRASHED, text=text)
        return Report(command=command, outcome="refused", at=now, rule="failed", text=f"failed: {text}")


@cache  # bounded like the labels; `labels` is slower
def _render_seconds(flow: str) -> Any:
    return metrics.RENDER_SECONDS.labels(flow)
