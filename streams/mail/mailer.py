"""The mailer: renders and sends the commands of a batch concurrently, and reports the outcome of each. Independent of Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from streams.core.offers.assortment import Assortment
from streams.core.offers.popularity import week_of
from streams.core.offers.recommendations import REQUEST_KEY, fulfil
from streams.core.rules.consent_policy import is_transactional
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan, retry_at
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp import Accepted, Refused, ServerDown, SmtpPool, Unknown
from streams.mail.links import Sender
from streams.mail.mime import Unsendable, compose
from streams.mail.rendering.renderer import Renderer, RenderError
from streams.mail.report import Report
from streams.observability import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")
#: Seconds between two attempts while the server is down. They are short at first, since most outages are restarts.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Stopped(Exception):
    """The mailer is stopping, and the awaited data did not arrive before."""


async def _nothing_withdrawn() -> Mapping[str, str]:
    return {}


async def _no_products() -> Assortment:
    return Assortment()


class Mailer:
    """Renders and sends emails.

    Args:
        renderer: renders a command.
        sender: the sender of the emails.
        pool: the connections to the mail server.
        fetch_withdrawn: returns the withdrawn sends, send id to rule. They are checked right before each email.
        fetch_assortment: returns the products that emails may recommend.
        backoff_scale: factor of the backoff between two attempts.
        on_pause: called with True when the mailer pauses because the server is down, and with False when it resumes.
        clock: returns the current time, UTC.
    """

    def __init__(
        self,
        renderer: Renderer,
        sender: Sender,
        pool: SmtpPool,
        *,
        fetch_withdrawn: Callable[[], Awaitable[Mapping[str, str]]] = _nothing_withdrawn,
        fetch_assortment: Callable[[], Awaitable[Assortment]] = _no_products,
        backoff_scale: float = 1.0,
        on_pause: Callable[[bool], None] = lambda is_paused: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._renderer = renderer
        self._sender = sender
        self._pool = pool
        self._fetch_withdrawn = fetch_withdrawn
        self._fetch_assortment = fetch_assortment
        self._withdrawn: Mapping[str, str] = {}
        self._assortment = Assortment()
        self._backoff_scale = backoff_scale
        self._on_pause = on_pause
        self._clock = clock
        #: Reason of the last outage, for the log.
        self._outage_reason = ""
        #: Number of batches that wait. Partitions are processed concurrently, and one may resume before the others.
        self._paused_batches = 0

    async def deliver(
        self, planned: Iterable[tuple[Command, Plan]], marks: DeliveryMarks, is_stopping: Callable[[], bool]
    ) -> list[Report]:
        """Execute the plans and return a report for each command. Commands that a stop prevented have no report.

        While the server is down, the mailer pauses and tries again.

        Args:
            planned: the commands with their plans.
            marks: updated right before the data of an email leaves, and right after the server's reply.
            is_stopping: returns whether the mailer must stop.
        """
        reports: list[Report] = []
        planned = waiting = list(planned)
        try:
            self._withdrawn = await _await_unless_stopping(is_stopping, self._fetch_withdrawn())
            if any(REQUEST_KEY in command.context for command, _ in planned):
                self._assortment = await _await_unless_stopping(is_stopping, self._fetch_assortment())
        except Stopped:
            return []
        pauses = 0
        is_paused = False
        while waiting:
            done = await self._attempt_all(waiting, marks, is_stopping)
            reports += [result for result in done if isinstance(result, Report)]
            left = [result for result in done if not isinstance(result, Report)]
            if not left or is_stopping():
                break
            if not is_paused:
                log.warning("mail server unavailable, pausing", reason=self._outage_reason, emails=len(left))
                self._count_pause(1)
            is_paused = True
            pauses = 0 if len(left) < len(waiting) else pauses
            await _sleep(PAUSES_S[min(pauses, len(PAUSES_S) - 1)], is_stopping)
            pauses += 1
            waiting = left
        if is_paused:
            self._count_pause(-1)
            log.info("mail server available, resuming", emails_left=len(planned) - len(reports))
        return reports

    def _count_pause(self, change: int) -> None:
        self._paused_batches += change
        self._on_pause(self._paused_batches > 0)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _attempt_all(
        self, waiting: list[tuple[Command, Plan]], marks: DeliveryMarks, is_stopping: Callable[[], bool]
    ) -> list[Report | tuple[Command, Plan]]:
        """Attempt each command once. A command that found the server down is returned with its plan, to be attempted again."""
        done: list[Report | tuple[Command, Plan]] = []
        left = deque(waiting)
        is_down = False

        async def attempt_next() -> None:
            nonlocal is_down
            while left:
                command, plan = left.popleft()
                if is_down or is_stopping():
                    done.append((command, plan))
                    continue
                result = await self._attempt(command, plan, marks)
                is_down = is_down or not isinstance(result, Report)
                done.append(result)

        # One more task than connections: it renders while the others send. An email is rendered just before it leaves.
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._pool.size + 1, len(waiting))):
                group.create_task(attempt_next())
        return done

    async def _attempt(self, command: Command, plan: Plan, marks: DeliveryMarks) -> Report | tuple[Command, Plan]:
        """Attempt one command. Return its report, or the command and its plan if the server is down."""
        now = self._clock()
        report = self._report_unsent(command, plan, marks, now)
        if report is not None:
            return report
        data = self._compose(command, now)
        if isinstance(data, Report):
            return data
        answer = await self._pool.send(
            self._sender.address, command.to_address, data, lambda: marks.mark_begun(command.send_id)
        )
        is_resend = plan == "resend"
        at = self._clock()
        if isinstance(answer, ServerDown):
            self._outage_reason = answer.text
            return command, plan
        if isinstance(answer, Accepted):
            marks.mark_accepted(command.send_id, answer.queue_id)
            if command.send_id in self._withdrawn and not is_transactional(command.purpose):
                # It was withdrawn after the check above. A withdrawal from now on finds the mark: see agents/mailer.py.
                metrics.WITHDRAWALS.labels("too_late").inc()
            rule = "sent_again" if is_resend else "accepted"
            return Report(
                command=command,
                outcome="sent",
                at=at,
                rule=rule,
                queue_id=answer.queue_id,
                code=250,
                is_resend=is_resend,
            )
        if isinstance(answer, Unknown):
            if is_transactional(command.purpose) and not is_resend:
                return await self._attempt(command, "resend", marks)
            return Report(command=command, outcome="unknown", at=at, rule="connection_lost", text=answer.text)
        marks.clear(command.send_id)
        return self._report_refusal(command, answer, at)

    def _report_unsent(self, command: Command, plan: Plan, marks: DeliveryMarks, now: datetime) -> Report | None:
        """Return the report of a command that is not sent now, or None if it is."""
        if plan == "confirm":
            queue_id = marks.queue_id(command.send_id)
            return Report(command=command, outcome="sent", at=now, rule="accepted", queue_id=queue_id, code=250)
        if plan == "abandon" or (plan == "resend" and now > command.not_after):
            return Report(command=command, outcome="unknown", at=now, rule="in_flight_after_crash")
        if plan == "expire" or now > command.not_after:
            return Report(command=command, outcome="expired", at=now, rule="not_after")
        withdrawn = self._withdrawn.get(command.send_id)
        if withdrawn is not None and not is_transactional(command.purpose):
            return Report(command=command, outcome="suppressed", at=now, rule="withdrawn", text=withdrawn)
        return None

    def _compose(self, command: Command, now: datetime) -> bytes | Report:
        """Return the bytes of the email, or the report of a command that has no email."""
        try:
            complete = self._fill_products(command)
            if complete is None:
                return Report(command=command, outcome="suppressed", at=now, rule="too_few_products")
            return self._render(complete, now)
        except msgspec.ValidationError as error:
            return Report(
                command=command, outcome="refused", at=now, rule="unrenderable", text=f"{REQUEST_KEY}: {error}"
            )
        except Unsendable as error:
            return Report(command=command, outcome="refused", at=now, rule="unsendable", text=error.reason)
        except RenderError as error:
            return Report(command=command, outcome="refused", at=now, rule="unrenderable", text=str(error))

    def _fill_products(self, command: Command) -> Command | None:
        """Return the command with the products it requests, or None if the assortment has too few."""
        if REQUEST_KEY not in command.context:
            return command
        products = fulfil(command.context[REQUEST_KEY], self._assortment, week_of(command.commanded_at))
        return None if products is None else replace(command, context={**command.context, "products": products})

    def _render(self, command: Command, now: datetime) -> bytes:
        started = time.perf_counter()
        links = self._sender.links(command)
        data = compose(self._sender, command, self._renderer.render(command, links), links, now)
        metrics.RENDER_SECONDS.labels(command.flow).observe(time.perf_counter() - started)
        return data

    def _report_refusal(self, command: Command, answer: Refused, at: datetime) -> Report:
        text = f"{answer.bounce_class.reason}: {answer.text}"
        due = None if answer.is_final else retry_at(command, at, self._backoff_scale)
        if due is not None:
            return Report(
                command=command, outcome="deferred", at=at, rule="4xx", text=text, code=answer.code, retry_at=due
            )
        return Report(
            command=command,
            outcome="refused",
            at=at,
            rule="5xx" if answer.is_final else "gave_up",
            text=text,
            code=answer.code,
            is_hard=answer.is_hard,
            is_bounce=not answer.bounce_class.is_sender_fault,
        )


async def _await_unless_stopping(is_stopping: Callable[[], bool], awaitable: Awaitable[T]) -> T:
    """Await the result. Raise Stopped if the mailer stops first."""
    task = asyncio.ensure_future(awaitable)
    while not (await asyncio.wait({task}, timeout=0.05))[0]:
        if is_stopping():
            task.cancel()
            raise Stopped
    return task.result()


async def _sleep(seconds: float, is_stopping: Callable[[], bool]) -> None:
    for _ in range(max(1, round(seconds / 0.05))):
        if is_stopping():
            return
        await asyncio.sleep(0.05)
