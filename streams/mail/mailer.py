"""The mailer's work on a batch: plan by the ledger, render, send side by side, and report what became of each. Knows no Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from streams.core.model.consent_policy import is_transactional
from streams.core.offers.assortment import Assortment
from streams.core.offers.popularity import week_of
from streams.core.offers.recommendations import WISH, granted
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan, retry_at
from streams.mail.delivery.local_notes import Notes
from streams.mail.delivery.smtp import Accepted, Refused, ServerDown, SmtpPool, Unknown
from streams.mail.mime import Sender, Unsendable, compose
from streams.mail.rendering.renderer import Renderer, RenderError
from streams.observability import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")
Outcome: TypeAlias = Literal["sent", "refused", "deferred", "expired", "suppressed", "unknown"]
#: Seconds between two tries of a server that is down: short at first, since most outages are restarts.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of one command. `text` holds no address; `again` says that it was sent though it may have left before.

    `is_bounce`: refused for the address's sake (`is_hard`: for good), not for the sender's or the content's.
    """

    command: Command
    outcome: Outcome
    at: datetime
    rule: str
    text: str = ""
    code: int | None = None
    is_hard: bool = False
    is_bounce: bool = False
    queue_id: str | None = None
    retry_at: datetime | None = None
    again: bool = False


class Stopped(Exception):
    """A stop came before a question was answered."""


async def _nothing_withdrawn() -> Mapping[str, str]:
    return {}


async def _no_products() -> Assortment:
    return Assortment()


class Mailer:
    """Renders and sends.

    Args:
        renderer, sender, pool: what writes a mail, whose it is, and what takes it.
        withdrawn: gives the sends that may no longer go, send id to rule; looked at right before each mail.
        assortment: gives the products that mails may recommend.
        backoff_scale: how much longer (or shorter) than usual a mail that was put off waits.
        on_pause: called with True when the server is down and the work waits, with False when it goes on.
        clock: the time, UTC.
    """

    def __init__(
        self,
        renderer: Renderer,
        sender: Sender,
        pool: SmtpPool,
        *,
        withdrawn: Callable[[], Awaitable[Mapping[str, str]]] = _nothing_withdrawn,
        assortment: Callable[[], Awaitable[Assortment]] = _no_products,
        backoff_scale: float = 1.0,
        on_pause: Callable[[bool], None] = lambda is_paused: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._renderer = renderer
        self._sender = sender
        self._pool = pool
        self._ask_withdrawn = withdrawn
        self._ask_assortment = assortment
        self._withdrawn: Mapping[str, str] = {}
        self._assortment = Assortment()
        self._backoff_scale = backoff_scale
        self._on_pause = on_pause
        self._clock = clock
        #: Why the server was last found down, for the log.
        self._trouble = ""
        #: Batches that wait: partitions are worked side by side, and the first that goes on does not speak for the others.
        self._paused = 0

    async def deliver(
        self, planned: Iterable[tuple[Command, Plan]], notes: Notes, is_stopping: Callable[[], bool]
    ) -> list[Report]:
        """Carry the plans out; return a report for each command, but for those that a stop came before.

        A server that is down is waited for. `notes` hears of each mail right before its data begins, and right after the answer.
        """
        reports: list[Report] = []
        planned = waiting = list(planned)
        try:
            self._withdrawn = await _unless(is_stopping, self._ask_withdrawn())
            if any(WISH in command.context for command, _ in planned):
                self._assortment = await _unless(is_stopping, self._ask_assortment())
        except Stopped:
            return []
        pauses = 0
        is_paused = False
        while waiting:
            done = await self._round(waiting, notes, is_stopping)
            reports += [result for result in done if isinstance(result, Report)]
            left = [result for result in done if not isinstance(result, Report)]
            if not left or is_stopping():
                break
            if not is_paused:
                log.warning("the mail server takes no mail: waiting", reason=self._trouble, mails=len(left))
                self._pause(1)
            is_paused = True
            pauses = 0 if len(left) < len(waiting) else pauses
            await _pause(PAUSES_S[min(pauses, len(PAUSES_S) - 1)], is_stopping)
            pauses += 1
            waiting = left
        if is_paused:
            self._pause(-1)
            log.info("the waiting for the mail server is over", mails_left=len(planned) - len(reports))
        return reports

    def _pause(self, change: int) -> None:
        self._paused += change
        self._on_pause(self._paused > 0)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _round(
        self, waiting: list[tuple[Command, Plan]], notes: Notes, is_stopping: Callable[[], bool]
    ) -> list[Report | tuple[Command, Plan]]:
        """Try each once; what the server was down for comes back as it is to be tried again."""
        done: list[Report | tuple[Command, Plan]] = []
        left = deque(waiting)
        is_down = False

        async def work() -> None:
            nonlocal is_down
            while left:
                command, plan = left.popleft()
                if is_down or is_stopping():
                    done.append((command, plan))
                    continue
                result = await self._one(command, plan, notes)
                is_down = is_down or not isinstance(result, Report)
                done.append(result)

        # As many at work as there are connections, and one that renders meanwhile: a mail is rendered only just before it leaves.
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._pool.size + 1, len(waiting))):
                group.create_task(work())
        return done

    async def _one(self, command: Command, plan: Plan, notes: Notes) -> Report | tuple[Command, Plan]:
        now = self._clock()
        if plan == "settle":
            name = notes.queue_id(command.send_id)
            return Report(command=command, outcome="sent", at=now, rule="accepted", queue_id=name, code=250)
        if plan == "give_up" or (plan == "send_again" and now > command.not_after):
            return Report(command=command, outcome="unknown", at=now, rule="in_flight_after_crash")
        if plan == "expire" or now > command.not_after:
            return Report(command=command, outcome="expired", at=now, rule="not_after")
        withdrawn = self._withdrawn.get(command.send_id)
        if withdrawn is not None and not is_transactional(command.purpose):
            return Report(command=command, outcome="suppressed", at=now, rule="withdrawn", text=withdrawn)
        try:
            filled = self._with_products(command)
            if filled is None:
                return Report(command=command, outcome="suppressed", at=now, rule="too_few_products")
            data = self._written(filled, now)
        except msgspec.ValidationError as error:
            return Report(command=command, outcome="refused", at=now, rule="unrenderable", text=f"{WISH}: {error}")
        except Unsendable as error:
            return Report(command=command, outcome="refused", at=now, rule="unsendable", text=error.reason)
        except RenderError as error:
            return Report(command=command, outcome="refused", at=now, rule="unrenderable", text=str(error))
        answer = await self._pool.send(
            self._sender.address, command.to_address, data, lambda: notes.begin(command.send_id)
        )
        again = plan == "send_again"
        at = self._clock()
        if isinstance(answer, ServerDown):
            self._trouble = answer.text
            return command, plan
        if isinstance(answer, Accepted):
            notes.accept(command.send_id, answer.queue_id)
            rule = "sent_again" if again else "accepted"
            return Report(
                command=command, outcome="sent", at=at, rule=rule, queue_id=answer.queue_id, code=250, again=again
            )
        if isinstance(answer, Unknown):
            if is_transactional(command.purpose) and not again:
                return await self._one(command, "send_again", notes)
            return Report(command=command, outcome="unknown", at=at, rule="connection_lost", text=answer.text)
        notes.forget(command.send_id)
        return self._refused(command, answer, at)

    def _with_products(self, command: Command) -> Command | None:
        """The command with the products that it wishes for; None if there are too few."""
        if WISH not in command.context:
            return command
        products = granted(command.context[WISH], self._assortment, week_of(command.commanded_at))
        return None if products is None else replace(command, context={**command.context, "products": products})

    def _written(self, command: Command, now: datetime) -> bytes:
        started = time.perf_counter()
        links = self._sender.links(command)
        data = compose(self._sender, command, self._renderer.render(command, links), links, now)
        metrics.RENDER_SECONDS.labels(command.flow).observe(time.perf_counter() - started)
        return data

    def _refused(self, command: Command, answer: Refused, at: datetime) -> Report:
        text = f"{answer.meaning.reason}: {answer.text}"
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
            is_bounce=not answer.meaning.is_ours,
        )


async def _unless(is_stopping: Callable[[], bool], asked: Awaitable[T]) -> T:
    """What is asked for. Raises Stopped: a stop came first."""
    asking = asyncio.ensure_future(asked)
    while not (await asyncio.wait({asking}, timeout=0.05))[0]:
        if is_stopping():
            asking.cancel()
            raise Stopped
    return asking.result()


async def _pause(seconds: float, is_stopping: Callable[[], bool]) -> None:
    for _ in range(max(1, round(seconds / 0.05))):
        if is_stopping():
            return
        await asyncio.sleep(0.05)
