"""Final refusals that wait until the mail server has shown whether it refuses one recipient, or everybody. Pure.

A server that refuses everybody, such as a relay with an expired contract, says so in any words: that the recipient is unknown, too. Each such
refusal would end an email, and suppress an address. So a refusal waits for the next email that the server accepts: it then stands. If different
recipients in a row are refused instead, all of these emails wait for their retries.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.rules.consent_policy import is_transactional
from streams.mail.attempt import Refusal
from streams.mail.report import Report
from streams.mail.server_health import ServerHealth


class HeldRefusals:
    """The refusals of one batch that are not decided yet.

    Args:
        health: the state of the server, shared by all batches.
    """

    def __init__(self, health: ServerHealth) -> None:
        self._health = health
        self._held: list[Refusal] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, refusal: Refusal) -> None:
        """Hold a refusal until `decide`."""
        self._held.append(refusal)

    def decide(self, *, is_last: bool) -> Iterator[Report]:
        """Yield the reports of the refusals that are decided now.

        Args:
            is_last: whether no other email of the batch can show more: then a refusal stands.
        """
        held, self._held = self._held, []
        for refusal in held:
            if self._health.accepted > refusal.accepted:
                yield refusal.final
            elif self._health.refuses_all(is_transactional(refusal.final.command.purpose)):
                # Nobody has so many dead addresses in a row. The server refuses the sender, whatever it says.
                yield refusal.deferred
            elif is_last:
                yield refusal.final
            else:
                self._held.append(refusal)
