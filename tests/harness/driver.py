"""The core on a virtual clock, with all its effects kept for the test."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.core.model.effects import Attribute, Effect, LogDecision, SendMail
from streams.core.offers.catalogue import Catalogue
from streams.core.rules.ruleset import Ruleset
from streams.tools.simulation.simulator import Simulator, timer_fired

__all__ = ["START", "Driver", "timer_fired"]

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


class Driver(Simulator):
    """A simulator that keeps its effects. With `is_reporting` each email is reported as sent immediately."""

    def __init__(
        self,
        ruleset: Ruleset,
        start: datetime = START,
        *,
        is_reporting: bool = True,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.effects: list[Effect] = []
        super().__init__(
            ruleset,
            start,
            is_reporting=is_reporting,
            on_effect=lambda effect, now: self.effects.append(effect),
            catalogue=catalogue,
        )

    def mails(self, customer_id: str | None = None) -> list[SendMail]:
        """The emails so far."""
        return [
            effect
            for effect in self.effects
            if isinstance(effect, SendMail) and customer_id in (None, effect.customer_id)
        ]

    def messages(self, customer_id: str | None = None) -> list[str]:
        """The names of the messages so far."""
        return [mail.message for mail in self.mails(customer_id)]

    def decisions(self) -> list[tuple[str, str, str]]:
        """Flow, outcome and rule of each decision so far."""
        return [
            (effect.flow, effect.outcome, effect.rule) for effect in self.effects if isinstance(effect, LogDecision)
        ]

    def attributions(self) -> list[Attribute]:
        """The attributions so far."""
        return [effect for effect in self.effects if isinstance(effect, Attribute)]
