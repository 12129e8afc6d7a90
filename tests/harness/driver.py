"""The rules on a virtual clock, with everything that they order kept to be looked at."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.core.model.effects import Attribute, Effect, LogDecision, SendMail
from streams.core.model.ruleset import Ruleset
from streams.core.offers.catalogue import Catalogue
from streams.tools.simulation.simulator import Simulator, timer_fired

__all__ = ["START", "Driver", "timer_fired"]

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


class Driver(Simulator):
    """A virtual run that keeps its effects. `is_reporting`: each mail is reported as sent at once."""

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
        """The mails ordered so far."""
        return [one for one in self.effects if isinstance(one, SendMail) and customer_id in (None, one.customer_id)]

    def messages(self, customer_id: str | None = None) -> list[str]:
        """The messages ordered so far, by name."""
        return [mail.message for mail in self.mails(customer_id)]

    def decisions(self) -> list[tuple[str, str, str]]:
        """Flow, outcome and rule of each decision so far."""
        return [(one.flow, one.outcome, one.rule) for one in self.effects if isinstance(one, LogDecision)]

    def attributions(self) -> list[Attribute]:
        """What neighbours were told so far."""
        return [one for one in self.effects if isinstance(one, Attribute)]
