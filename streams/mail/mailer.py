"""The mailer: renders and sends the emails of commands, and reports the outcome of each. Independent of Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

import structlog

from streams.core.model.events import MailOutcome
from streams.core.offers.assortment import Assortment
from streams.core.rules.consent_policy import is_transactional
from streams.mail.address_check import COUNTED, AddressCheck
from streams.mail.attempt import Item, Refusal, Trouble
from streams.mail.batch_emails import BatchEmails, Emails
from streams.mail.command import Command
from streams.mail.composing import Composer
from streams.mail.delivery.bounces import classify
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.providers import provider_of
from streams.mail.delivery.recording import NoLedger, Planned, SendLedger
from streams.mail.delivery.smtp.answers import Accepted, ServerDown, Unknown, printable
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.window import LeaseExpired, Window
from streams.mail.dispatch import Dispatch
from streams.mail.links import Sender
from streams.mail.outcomes import (
    refusal_text,
    report_accepted,
    report_deferred,
    report_held,
    report_refusal,
    report_trouble,
    result_of_second_copy,
    withdrawn_by,
)
from streams.mail.renderers.emails import RendersCommands
from streams.mail.renderers.pool import RendererPool
from streams.mail.report import Report
from streams.mail.server_health import ServerHealth
from streams.mail.stopping import Stopped, await_unless_stopping
from streams.mail.unanswered import Unanswered, mark_late
from streams.observability import metrics

log = structlog.get_logger(__name__)

#: Seconds that the last emails of a batch wait for an answer, before and again after their data, while the server answers others.
PATIENCE_S = 30.0


async def _nothing_withdrawn() -> Mapping[str, str]:
    return {}


async def _no_products() -> Assortment:
    return Assortment()


class Mailer:
    """Renders and sends emails.

    Args:
        renderer: renders a command, or the renderers that do it in processes of their own.
        sender: the sender of the emails.
        pool: the connections to the mail server.
        fetch_withdrawn: returns the withdrawn sends, send id to rule. They are checked right before each email.
        fetch_assortment: returns the products that emails may recommend.
        addresses: whether an address may get an email, checked right before each; None checks nothing.
        newest_versions: flow -> its newest version in the templates.
        backoff_scale: factor of the backoff between two attempts.
        on_pause: called with True when the mailer pauses because the server is down, and with False when it resumes.
        patience_s: seconds that the last emails of a batch wait for an answer, before and again after their data, while others get one.
        clock: returns the current time, UTC.
        holds_marketing: whether emails that are not transactional wait, because the brand names no company.

    Attributes:
        holds_marketing: as above; a reload of the templates may change it.
        window: the emails in doubt of all batches.
        unanswered: the emails that still wait for an answer, although their batches do not.
    """

    def __init__(
        self,
        renderer: RendersCommands | RendererPool,
        sender: Sender,
        pool: SmtpPool,
        *,
        fetch_withdrawn: Callable[[], Awaitable[Mapping[str, str]]] = _nothing_withdrawn,
        fetch_assortment: Callable[[], Awaitable[Assortment]] = _no_products,
        addresses: AddressCheck | None = None,
        newest_versions: Mapping[str, int] | None = None,
        backoff_scale: float = 1.0,
        on_pause: Callable[[bool], None] = lambda is_paused: None,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        holds_marketing: bool = False,
    ) -> None:
        self._composer = Composer(newest_versions or {}, backoff_scale)
        self._emails = Emails(renderer, sender, self._composer, clock)
        self._from = sender.address
        self._pool = pool
        self._fetch_withdrawn = fetch_withdrawn
        self._fetch_assortment = fetch_assortment
        self._withdrawn: Mapping[str, str] = {}
        self._addresses = addresses
        self._backoff_scale = backoff_scale
        self._on_pause = on_pause
        self._clock = clock
        self.holds_marketing = holds_marketing
        self._patience_s = patience_s
        self._health = ServerHealth()
        self.window = Window(pool.size)
        self.unanswered = Unanswered(self.window, pool.answer_timeout_s)
        #: One email more than connections, rendered just before it leaves. More would wait in the pool, in the time that the window measures.
        self._turns = asyncio.Semaphore(pool.size + 1)
        #: Number of batches that wait. One may resume before the others.
        self._paused_batches = 0

    async def deliver(
        self,
        planned: Iterable[Planned],
        marks: DeliveryMarks,
        is_stopping: Callable[[], bool],
        ledger: SendLedger | None = None,
    ) -> list[Report]:
        """Execute the plans and return a report for each command. Commands that a stop prevented have no report.

        While the server is down, the mailer pauses and tries again.

        Args:
            planned: the commands with their plans.
            marks: updated right before the data of an email leaves, and right after the server's reply.
            is_stopping: returns whether the mailer must stop. Emails on the wire are waited for.
            ledger: records each slice of emails before it is sent; None records nothing.
        """
        planned = list(planned)
        try:
            self._withdrawn = await await_unless_stopping(is_stopping, self._fetch_withdrawn())
            if self._addresses is not None:
                await await_unless_stopping(is_stopping, self._addresses.refresh())
            if any(command.requests_products for command, _ in planned):
                self._composer.assortment = await await_unless_stopping(is_stopping, self._fetch_assortment())
        except Stopped:
            return []
        emails = self._emails.of(planned)
        dispatch = Dispatch(
            partial(self._attempt, marks, emails),
            self._defer,
            partial(self._leave, marks),
            ledger or NoLedger(),
            self._health,
            senders=self._pool.size + 1,
            patience_s=self._patience_s,
            is_stopping=is_stopping,
            on_pause=self._count_pause,
        )
        try:
            return await dispatch.run(planned)
        finally:
            emails.close()

    def _defer(self, command: Command, trouble: Trouble) -> Report:
        return report_trouble(command, trouble, self._clock(), self._backoff_scale)

    def _leave(self, marks: DeliveryMarks, item: Item) -> Report:
        log.info("no answer to the whole email, its batch continues", send_id=item.command.send_id)
        self.unanswered.add(marks, item)
        if item.task is not None:
            self._pool.leave_behind(item.task)
        return self.unanswered.report(item.command, self._clock())

    def _count_pause(self, is_paused: bool) -> None:
        self._paused_batches += 1 if is_paused else -1
        self._on_pause(self._paused_batches > 0)
        if not is_paused:
            log.info("mail server available, resuming")

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _attempt(
        self, marks: DeliveryMarks, emails: BatchEmails, item: Item, may_begin: Callable[[], None]
    ) -> Report | Refusal | Trouble | None:
        """Attempt one command. Whatever fails concerns this command alone. Return None if its batch no longer waits for it.

        Raises:
            LeaseExpired: `may_begin` raised it. The email has not left.
        """
        command, is_begun = item.command, False
        result: Report | Refusal | Trouble | None = None

        def begin() -> None:
            nonlocal is_begun
            may_begin()
            marks.mark_begun(command.send_id)
            is_begun = True

        try:
            async with self._turns:
                result = await self._attempt_unguarded(marks, emails, item, begin)
                if item.plan == "resend":  # also after a first copy in this attempt
                    result = result_of_second_copy(result)
                return result
        except LeaseExpired:
            raise
        except Exception as error:
            log.exception("sending an email failed", send_id=command.send_id, error=type(error).__name__)
            # Once the data has begun, the server may have accepted the email.
            outcome: MailOutcome = "unknown" if is_begun or item.plan == "resend" else "refused"
            return Report(
                command=command,
                outcome=outcome,
                at=self._clock(),
                rule="failed",
                text=f"failed: {type(error).__name__}",
            )
        finally:
            if self._addresses is not None:
                is_sent = result.outcome in COUNTED if isinstance(result, Report) else result is None and is_begun
                self._addresses.settle(command, is_sent=is_sent)

    async def _attempt_unguarded(
        self, marks: DeliveryMarks, emails: BatchEmails, item: Item, begin: Callable[[], None]
    ) -> Report | Refusal | Trouble | None:
        command, plan, now = item.command, item.plan, self._clock()
        report = self._report_unsent(command, plan, marks, now)
        if report is not None:
            return report
        data = await emails.take(command)
        if isinstance(data, Report):
            return data
        started = time.perf_counter()
        answer = printable(await self._pool.send(self._from, command.to_address, data, begin))
        is_resend, at = plan == "resend", self._clock()
        if isinstance(answer, Accepted):
            self._note_accepted(command)
        if item.is_left:
            mark_late(marks, command, plan, answer)
            return None
        if isinstance(answer, ServerDown):
            if answer.phase == "dot" and plan == "send":
                marks.clear(command.send_id)
            return Trouble(plan, answer, is_outage=answer.is_connecting)
        if isinstance(answer, Accepted):
            self.window.measure(time.perf_counter() - started)
            marks.mark_accepted(command.send_id, answer.queue_id, is_resend=is_resend)
            return report_accepted(command, at, answer.queue_id, is_resend=is_resend)
        if isinstance(answer, Unknown):
            if is_transactional(command.purpose) and not is_resend:
                item.repeat(asyncio.get_running_loop().time())
                return await self._attempt_unguarded(marks, emails, item, begin)
            return Report(command=command, outcome="unknown", at=at, rule="connection_lost", text=answer.text)
        marks.clear(command.send_id)
        bounce = classify(answer.code, answer.text, answer.phase, provider_of(command.to_address))
        if bounce.is_about_sender:
            return Trouble(plan, answer)
        self._health.note_answered()
        report = report_refusal(command, answer, bounce, at, self._backoff_scale)
        if not answer.is_final:
            return report
        self._health.note_refused(command.to_address)
        text = refusal_text(answer, bounce)
        deferred = report_deferred(command, at, text, answer.code, self._backoff_scale, rule="refused_us")
        return Refusal(report, deferred, self._health.accepted)

    def _note_accepted(self, command: Command) -> None:
        self._health.note_accepted()
        if withdrawn_by(self._withdrawn, command) is not None:
            # It was withdrawn after it was checked. A withdrawal from now on finds the mark: see agents/mailer.py.
            metrics.WITHDRAWALS.labels("too_late").inc()

    def _report_unsent(self, command: Command, plan: Plan, marks: DeliveryMarks, now: datetime) -> Report | None:
        """Return the report of a command that is not sent now, or None if it is."""
        if plan == "confirm":
            return report_accepted(
                command, now, marks.queue_id(command.send_id), is_resend=marks.is_resend(command.send_id)
            )
        if plan == "wait":
            return self.unanswered.report(command, now)
        if plan == "unanswered":
            text = "no answer to the whole email"
            return Report(command=command, outcome="unknown", at=now, rule="connection_lost", text=text)
        if plan == "abandon" or (plan == "resend" and now > command.not_after):
            return Report(command=command, outcome="unknown", at=now, rule="in_flight_after_crash")
        if plan == "expire" or now > command.not_after:
            return Report(command=command, outcome="expired", at=now, rule="not_after")
        withdrawn = withdrawn_by(self._withdrawn, command)
        if withdrawn is not None:
            return Report(command=command, outcome="suppressed", at=now, rule="withdrawn", text=withdrawn)
        if self.holds_marketing and plan == "send" and not is_transactional(command.purpose):
            return report_held(command, now, self._backoff_scale)
        # A second copy has the place of the first.
        if self._addresses is not None and plan == "send" and (forbidden := self._addresses.begin(command)) is not None:
            return Report(command=command, outcome="suppressed", at=now, rule=forbidden[0], text=forbidden[1])
        return None
