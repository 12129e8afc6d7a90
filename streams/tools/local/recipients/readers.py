"""The readers of the demo's emails: a thread that watches the inbox, and acts over HTTP as people and mail programs do."""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from streams.tools.local.inbox.mail import ReceivedEmail
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.recipients.actions import Actions
from streams.tools.local.recipients.browser import Browser, Refused
from streams.tools.local.recipients.choices import Act, Step, has_proxy, is_read, is_scanned, random_of, steps_of
from streams.tools.local.recipients.links import EmailLinks, links_of
from streams.tools.local.recipients.pages import UnexpectedPage
from streams.tools.local.recipients.visits import Reader, visit

#: Orders per second up to which every reader acts. Of more, as many act as at this rate, so that the readers do not slow down the demo.
MOST_ORDERS_PER_S = 25.0
#: Seconds between two looks into the inbox.
POLL_S = 0.05
#: Requests at the same time, seconds that one may take, and seconds that those at the end may take.
_CONNECTIONS, _TIMEOUT_S, _STOP_S = 8, 30.0, 10.0


class Readers:
    """The readers of all emails of an inbox.

    Args:
        inbox: where the emails arrive.
        base_url: where the links of the emails start.
        seed: determines what the readers do.
        rate_per_s: the orders per second of the shop.
        day_s: the seconds of a day.

    Attributes:
        actions: what they did so far.
    """

    def __init__(self, inbox: Inbox, base_url: str, seed: int, rate_per_s: float, day_s: float) -> None:
        self._inbox, self._base_url, self._seed, self._day_s = inbox, base_url, seed, day_s
        self._share = min(1.0, MOST_ORDERS_PER_S / rate_per_s)
        self.actions = Actions()
        self._due: list[tuple[float, int, Act, ReceivedEmail, EmailLinks]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._seen = self._planned = 0
        #: The addresses whose owners have changed their preferences. They do so once: then it is certain what each form changes.
        self._decided: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="readers")

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the actions that have begun, and stop. Those that are not due yet are dropped."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def is_busy(self, within_s: float) -> bool:
        """Return whether something is being done, or is due within `within_s` seconds."""
        next_at = min((entry[0] for entry in self._due[:1]), default=None)
        is_due = next_at is not None and next_at < time.monotonic() + within_s
        return is_due or bool(self._running) or self._seen < self._inbox.accepted

    async def _live(self) -> None:
        connector = TCPConnector(limit=_CONNECTIONS)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=_TIMEOUT_S)) as session:
            while not self._is_over.is_set():
                while self._seen < self._inbox.accepted:
                    # The step first, so that `is_busy` never misses the email in between.
                    mail = self._inbox.mail(self._seen + 1)
                    if mail is not None:
                        self._plan(mail)
                    self._seen += 1
                while self._due and self._due[0][0] <= time.monotonic():
                    _, _, act, mail, links = heapq.heappop(self._due)
                    self._begin(self._act(session, act, mail, links))
                await asyncio.sleep(POLL_S)
            if self._running:
                await asyncio.wait(self._running, timeout=_STOP_S)
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.actions.refused[f"{type(error).__name__} of a reader: {error}"] += 1

    def _plan(self, mail: ReceivedEmail) -> None:
        to = _recipient(mail)
        is_scanned_, is_read_ = is_scanned(self._seed, to), is_read(self._seed, mail.send_id, self._share)
        if not (is_scanned_ or is_read_):
            return
        links = links_of(mail, self._base_url)
        steps = steps_of(self._seed, mail.send_id, links) if is_read_ else []
        if is_scanned_:
            steps.append(Step(0.0, "scan"))
        now = time.monotonic()
        for step in steps:
            if step.act == "prefer" and to in self._decided:
                continue
            if step.act == "prefer":
                self._decided.add(to)
            self._planned += 1  # the heap never compares two emails
            heapq.heappush(self._due, (now + step.after_days * self._day_s, self._planned, step.act, mail, links))

    async def _act(self, session: ClientSession, act: Act, mail: ReceivedEmail, links: EmailLinks) -> None:
        to = _recipient(mail)
        agent = "privacy_proxy" if has_proxy(self._seed, to) else "human"
        rng = random_of(self._seed, act, mail.send_id)
        try:
            await visit(act, Reader(Browser(session, to, self.actions), links, rng, self._day_s, agent))
        except (Refused, UnexpectedPage) as error:
            self.actions.refused[f"{act}: {error}"] += 1
        except (ClientError, TimeoutError):
            self.actions.unanswered += 1


def _recipient(mail: ReceivedEmail) -> str:
    return mail.to[0].lower() if mail.to else ""
