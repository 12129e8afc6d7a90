"""Email addresses in a simulation: what happened to them, and which emails they therefore do not get, by the functions of the agents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from streams.core.model.address_state import NEW_ADDRESS, AddressState
from streams.core.model.effects import Effect, LogDecision, NoteAddress, SendMail
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.address_limits import apply, find_rule, rules_of, suppression_of
from streams.core.values.addresses import address_hash
from streams.tools.simulation.suppressions import suppressed


class SimulatedAddresses:
    """The stage `suppressions` and the check of the mailer, without a delay between them.

    Args:
        ruleset: the limits, and the key of the hashes.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        self._key = ruleset.address_key
        self._rules = rules_of(ruleset)
        self.states: dict[str, AddressState] = {}

    def apply(self, effects: Iterable[Effect], now: datetime) -> list[Effect]:
        """Count the emails, and return the effects; with a decision instead of an email that its address must not get."""
        applied: list[Effect] = []
        for effect in effects:
            if isinstance(effect, NoteAddress):
                self._note(effect)
            elif isinstance(effect, SendMail):
                effect = self._check(effect, now)
            applied.append(effect)
        return applied

    def _note(self, event: NoteAddress) -> None:
        self.states[event.address] = apply(self.states.get(event.address, NEW_ADDRESS), event, self._rules)

    def _check(self, mail: SendMail, now: datetime) -> SendMail | LogDecision:
        address = address_hash(self._key, mail.to_address).hex()
        suppression = suppression_of(self.states.get(address, NEW_ADDRESS), self._rules)
        forbidden = find_rule(suppression, mail.purpose, now)
        if forbidden is not None:
            return suppressed(mail, *forbidden, now)
        self._note(
            NoteAddress(
                event_id=f"{mail.send_id}.1.sent",
                address=address,
                kind="sent",
                occurred_at=now,
                send_id=mail.send_id,
                purpose=mail.purpose,
                is_transactional=is_transactional(mail.purpose),
            )
        )
        return mail
