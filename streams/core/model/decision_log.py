"""The log of decisions: each is an effect that says what the rules did with a step, and why."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.effects import DecisionOutcome, Effect, LogDecision
from streams.core.values import ids, local_time


class DecisionLog(Struct, frozen=True, gc=False):
    """The decisions about one step of an instance. Each method logs one of them.

    The id of a decision is a hash of the instance, the step, the rule and `repeat`. When an event is processed again, its decisions
    have the same ids. `repeat` gives different ids to the decisions that one rule makes repeatedly about one step.

    Attributes:
        effects: the list that the decisions are appended to.
        customer_id: the customer.
        decided_at: the time of the decisions, UTC.
        flow: the name of the flow, "" if the decisions are not about a flow.
        flow_version: its version, or 0.
        instance_id: the instance, "" if the decisions are not about an instance.
        step: the path of the step.
        order_id: the order, if the decisions are about an order.
        send_id: the email, if the decisions are about an email.
    """

    effects: list[Effect]
    customer_id: str
    decided_at: datetime
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None = None
    send_id: str | None = None

    def send(self, rule: str, detail: str) -> None:
        """Log that an email is sent; `rule` is the consent rule that allows it."""
        self._log("send", rule, detail)

    def skip(self, rule: str, detail: str, *, repeat: str = "") -> None:
        """Log that `rule` skips the step."""
        self._log("skip", rule, detail, repeat)

    def defer(self, rule: str, detail: str, until: datetime) -> None:
        """Log that `rule` defers the step until `until` (UTC)."""
        self._log("defer", rule, detail, local_time.text_of(until))

    def schedule(self, rule: str, detail: str, *, repeat: str = "") -> None:
        """Log the step or the time at which the instance continues."""
        self._log("schedule", rule, detail, repeat)

    def exit(self, rule: str, detail: str) -> None:
        """Log that `rule` ends the instance."""
        self._log("exit", rule, detail)

    def erase(self, rule: str, detail: str, *, repeat: str) -> None:
        """Log that the customer was erased, which ends all instances at once."""
        self._log("exit", rule, detail, repeat)

    def draft(self, detail: str) -> None:
        """Log the action that a draft does not take."""
        self._log("draft", "draft", detail)

    def limit(self, limit: str, detail: str, *, repeat: str = "") -> None:
        """Log that a limit (see `ruleset.Limits`) was reached."""
        self._log("limit", limit, detail, repeat)

    def note(self, rule: str, detail: str, *, repeat: str = "") -> None:
        """Log a flaw of the data that stops nothing."""
        self._log("note", rule, detail, repeat)

    def _log(self, outcome: DecisionOutcome, rule: str, detail: str, repeat: str = "") -> None:
        self.effects.append(
            LogDecision(
                decision_id=ids.decision_id(self.instance_id or self.customer_id, self.step, rule, repeat),
                customer_id=self.customer_id,
                flow=self.flow,
                flow_version=self.flow_version,
                instance_id=self.instance_id,
                step=self.step,
                outcome=outcome,
                rule=rule,
                detail=detail,
                send_id=self.send_id,
                order_id=self.order_id,
                decided_at=self.decided_at,
            )
        )
