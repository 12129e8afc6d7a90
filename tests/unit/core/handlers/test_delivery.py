"""Reports of the mailer, and retries of emails that it deferred."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.effects import EndMail, LogDecision, ResendMail, SendMail
from streams.core.model.events import MailOutcome, MailReported, OrderPlaced, RetryDue, Unsubscribed
from tests.harness.driver import START, Driver
from tests.harness.events import order, shop_ruleset

DAY = timedelta(days=1)


class Deferred(Driver):
    """A customer whose last marketing email the mail server has deferred."""

    def __init__(self) -> None:
        super().__init__(shop_ruleset(), is_reporting=False)
        self.handle(OrderPlaced(order("o1", START), START))
        self.advance(2 * DAY)
        self.mail = next(mail for mail in reversed(self.mails()) if mail.purpose == "marketing")
        self.report("deferred")
        self.effects.clear()

    def report(self, outcome: MailOutcome) -> None:
        """Report an outcome of the email."""
        self.handle(MailReported(customer_id="c1", send_id=self.mail.send_id, outcome=outcome, occurred_at=self.now))

    def unsubscribe(self) -> None:
        """Unsubscribe the customer from marketing."""
        self.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=self.now))

    def retry(self, send_id: str = "", not_after: timedelta = DAY) -> None:
        """Let the second attempt be due."""
        self.effects.clear()
        self.handle(
            RetryDue(
                customer_id="c1", timer_id="t", send_id=send_id or self.mail.send_id, attempt=2, purpose="marketing",
                not_after=self.now + not_after, command=b"c", due_at=self.now, occurred_at=self.now,
            )
        )  # fmt: skip

    @property
    def ends(self) -> list[EndMail]:
        """The reports that emails have ended."""
        return [effect for effect in self.effects if isinstance(effect, EndMail)]

    @property
    def decision(self) -> tuple[str, str]:
        """Outcome and rule of the one decision."""
        (decision,) = [effect for effect in self.effects if isinstance(effect, LogDecision)]
        return decision.outcome, decision.rule


@pytest.fixture
def deferred() -> Deferred:
    """A customer whose last marketing email the mail server has deferred."""
    return Deferred()


def test_a_retry_that_is_still_allowed(deferred: Deferred) -> None:
    """It returns to the mailer, which reports how it ends."""
    deferred.retry()
    assert deferred.decision == ("retry", "put_off")
    assert [type(effect) for effect in deferred.effects] == [ResendMail, LogDecision]


def test_consent_withdrawn_before_the_retry(deferred: Deferred) -> None:
    """The email has ended: its last outcome is `suppressed` with the rule, and names the email as the mailer's reports do."""
    deferred.unsubscribe()
    deferred.retry()
    assert deferred.decision == ("skip", "unsubscribed")
    (end,) = deferred.ends
    assert (end.outcome, end.reason, end.attempt) == ("suppressed", "unsubscribed", 2)
    mail = deferred.mail
    assert isinstance(mail, SendMail)
    assert (end.send_id, end.flow, end.flow_version, end.step, end.message, end.purpose, end.order_id) == (
        mail.send_id, mail.flow, mail.flow_version, mail.step, mail.message, mail.purpose, mail.order_id,
    )  # fmt: skip
    assert end.commanded_at <= end.occurred_at == deferred.now


def test_a_retry_that_is_too_late(deferred: Deferred) -> None:
    """Its last outcome is `expired`, as the mailer reports it."""
    deferred.retry(not_after=-DAY)
    assert deferred.decision == ("skip", "expired")
    assert [(end.outcome, end.reason) for end in deferred.ends] == [("expired", "not_after")]


def test_a_retry_of_a_forgotten_email(deferred: Deferred) -> None:
    """Its end is reported with what the retry has."""
    deferred.unsubscribe()
    deferred.retry("another")
    (end,) = deferred.ends
    assert (end.send_id, end.outcome, end.flow, end.message, end.purpose) == (
        "another",
        "suppressed",
        "",
        "",
        "marketing",
    )


def test_an_email_that_has_ended_does_not_end_again(deferred: Deferred) -> None:
    """The mailer has reported its last outcome meanwhile."""
    deferred.report("sent")
    deferred.unsubscribe()
    deferred.retry()
    assert deferred.ends == []
