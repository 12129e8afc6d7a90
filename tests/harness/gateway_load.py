"""Requests to gateways like those of customers: each is repeated until one of the gateways has answered it with success."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import aiohttp

from streams.mail.tokens import LinkKeys, Use
from streams.runtime.avro.codec import Codec
from streams.tools.local.kafka.committed import read_all
from streams.wire import topics

#: Customers that send requests at the same time, each one after the other.
CUSTOMERS = 8
#: Seconds between two attempts of a request, and from one request of a customer to the next.
PAUSE_S = 0.02
#: Seconds that a client waits for an answer.
TIMEOUT_S = 20.0
TARGETS: dict[Use, str] = {"c": "https://shop.example/p/1", "o": "", "u": "marketing"}


class GatewayLoad:
    """Customers who use links, on a thread from entering to leaving the block.

    Args:
        urls: the addresses of the gateways.
        secret: seals the links.
        uses: the kinds of links. A click is answered even if it could not be recorded, an unsubscription is not.

    Attributes:
        accepted: the send ids of each customer whose request was answered with success, in their order.
        refused: answers that asked the client to come back later.
    """

    def __init__(self, urls: Sequence[str], secret: str, uses: Sequence[Use] = ("c", "o", "u")) -> None:
        self._urls = urls
        self._keys = LinkKeys("shop", secret.encode())
        self._uses = uses
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="gateway-load")
        self._error: BaseException | None = None
        self.accepted: defaultdict[str, list[str]] = defaultdict(list)
        self.refused = 0

    @property
    def count(self) -> int:
        """The number of requests that were answered with success."""
        return sum(map(len, self.accepted.values()))

    def __enter__(self) -> GatewayLoad:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let each customer end its last request, and raise what ended the thread."""
        self._is_over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            self._error = error

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
        async with aiohttp.ClientSession(timeout=timeout, headers=agent) as session, asyncio.TaskGroup() as customers:
            for number in range(CUSTOMERS):
                customers.create_task(self._use_links(session, number))

    async def _use_links(self, session: aiohttp.ClientSession, customer: int) -> None:
        customer_id = f"visitor-{customer}"
        number, attempt = 0, customer
        while not self._is_over.is_set():
            use = self._uses[number % len(self._uses)]
            send_id = f"load-{customer}-{number}"
            token = self._keys.seal(use, customer_id, send_id, TARGETS[use], datetime.now(UTC))
            while not self._is_over.is_set():
                attempt += 1
                url = f"{self._urls[attempt % len(self._urls)]}/{use}/{token}"
                if await self._is_answered(session, url, use):
                    self.accepted[customer_id].append(send_id)
                    break
                await asyncio.sleep(PAUSE_S)
            number += 1
            await asyncio.sleep(PAUSE_S)

    async def _is_answered(self, session: aiohttp.ClientSession, url: str, use: Use) -> bool:
        body = {"List-Unsubscribe": "One-Click"} if use == "u" else None
        try:
            async with session.request("POST" if body else "GET", url, data=body, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return False  # the gateway is being restarted
        self.refused += answer.status == 503
        assert answer.status in (200, 302, 503), answer.status
        return answer.status != 503

    def problems(self, kafka: dict[str, str], codec: Codec) -> list[str]:
        """Return what is wrong with the records on the topic: answered requests without one, and customers whose order differs."""
        records = read_all(kafka, [topics.ENGAGEMENT])[topics.ENGAGEMENT]
        found: defaultdict[str, list[str]] = defaultdict(list)
        for record in (codec.decode("engagement", record.value()) for record in _readable(records)):
            if (record["send_id"] or "").startswith("load-"):
                found[record["customer_id"]].append(record["send_id"])
        problems = []
        for customer_id, accepted in self.accepted.items():
            written = found[customer_id]
            if lost := set(accepted) - set(written):
                problems.append(f"{len(lost)} answered requests of {customer_id} have no record")
            first = list(dict.fromkeys(written))
            if first != sorted(first, key=_number_of):
                problems.append(f"the records of {customer_id} are not in their order")
        return problems


def _readable(records: Iterable[Any]) -> Iterable[Any]:
    return (record for record in records if record.value() and (record.key() or b"").startswith(b"visitor-"))


def _number_of(send_id: str) -> int:
    return int(send_id.rpartition("-")[2])
