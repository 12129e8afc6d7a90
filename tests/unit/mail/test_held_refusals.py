"""Final refusals, until it is known whether the mail server refuses everybody."""

from __future__ import annotations

from streams.mail.attempt import Refusal
from streams.mail.held_refusals import HeldRefusals
from streams.mail.report import Report
from streams.mail.server_health import ServerHealth
from tests.harness.commands import NOW
from tests.harness.mailer_in_memory import to


class World:
    """A batch and the state of its server."""

    def __init__(self) -> None:
        self.health = ServerHealth()
        self.held = HeldRefusals(self.health)

    def refuse(self, name: str, purpose: str) -> None:
        """Refuse an email."""
        self.health.note_refused(name)
        command = to(name, purpose=purpose)
        final = Report(command=command, outcome="refused", at=NOW, rule="5xx")
        deferred = Report(command=command, outcome="deferred", at=NOW, rule="refused_us")
        self.held.add(Refusal(final, deferred, self.health.accepted))

    def decide(self, *, is_last: bool = False) -> list[tuple[str, str]]:
        """Return send id and outcome of each refusal that is decided."""
        return [(report.command.send_id, report.outcome) for report in self.held.decide(is_last=is_last)]


def test_a_refusal_waits_for_the_next_accepted_email() -> None:
    """An email that was accepted before says nothing about the server now."""
    world = World()
    world.health.note_accepted()
    world.refuse("a", "marketing")
    assert world.decide() == []
    assert world.held
    world.health.note_accepted()
    assert world.decide() == [("a", "refused")]
    assert not world.held


def test_refusals_in_a_row_are_deferred() -> None:
    """Two transactional emails are enough, since customers who have just ordered rarely have dead addresses; others are five."""
    world = World()
    for name in "ab":
        world.refuse(name, "marketing")
        assert world.decide() == []
    world.refuse("c", "order")
    assert world.decide() == [("c", "deferred")]
    for name in "de":
        world.refuse(name, "marketing")
    assert world.decide() == [(name, "deferred") for name in "abde"]


def test_one_recipient_is_not_everybody() -> None:
    """Several emails to one dead address are refused for that address."""
    world = World()
    for _ in range(6):
        world.refuse("a", "order")
    assert world.decide() == []
    assert world.decide(is_last=True) == [("a", "refused")] * 6
