"""The emails that customers got in a simulation, and why: the base of the scenarios of `streams.testing`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from streams.core.model.customer import Customer
from streams.core.model.effects import Effect, LogDecision, MailFields, SendMail
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.content import template_data
from streams.tools.simulation.simulator import Simulator


class Email(MailFields, frozen=True, gc=True, kw_only=True):
    """An email as the customer received it; `context` is the data that its templates get, in JSON types."""

    context: dict[str, Any]
    tracking: bool


class Results:
    """The emails and decisions of a simulation so far.

    Args:
        ruleset: the rules.
        start: the time at the start, UTC.
    """

    def __init__(self, ruleset: Ruleset, start: datetime) -> None:
        self._effects: list[tuple[datetime, Effect]] = []
        self._run = Simulator(ruleset, start, on_effect=lambda effect, now: self._effects.append((now, effect)))

    def mails(self, customer: str) -> list[str]:
        """Return the customer's emails so far, as flow/message, the oldest first."""
        return [f"{mail.flow}/{mail.message}" for mail in self._mails(customer)]

    def mail(self, customer: str, message: str | None = None) -> Email:
        """Return the customer's newest email, or the newest `message`, with its address, language and template data.

        Raises:
            LookupError: the customer has no such email.
        """
        mail = self._sent(customer, message)
        fields = {name: getattr(mail, name) for name in MailFields.__struct_fields__}
        return Email(**fields, context=template_data(mail.content), tracking=mail.tracking)

    def recommended(self, customer: str) -> list[str]:
        """Return the SKUs in the customer's newest email with recommendations.

        Raises:
            LookupError: the customer has no such email.
        """
        data = [template_data(mail.content) for mail in self._mails(customer)]
        products = [context["products"] for context in data if "products" in context]
        if not products:
            raise LookupError(f"{customer} has no email with recommendations, only {self.mails(customer)}")
        return [product["sku"] for product in products[-1]]

    def why(self, customer: str) -> list[tuple[str, str, str]]:
        """Return flow, outcome and rule of each decision about the customer, the oldest first."""
        return [
            (effect.flow, effect.outcome, effect.rule)
            for _, effect in self._effects
            if isinstance(effect, LogDecision) and effect.customer_id == customer
        ]

    def state(self, customer: str) -> Customer | None:
        """Return the customer's stored state; None if the customer is unknown."""
        return self._run.customers.get(customer)

    def _mails(self, customer: str) -> list[SendMail]:
        return [
            effect for _, effect in self._effects if isinstance(effect, SendMail) and effect.customer_id == customer
        ]

    def _sent(self, customer: str, message: str | None) -> SendMail:
        mails = [mail for mail in self._mails(customer) if message in (None, mail.message)]
        if not mails:
            name = f"email {message!r}" if message else "email"
            raise LookupError(f"{customer} has no {name}, only {self.mails(customer)}")
        return mails[-1]
