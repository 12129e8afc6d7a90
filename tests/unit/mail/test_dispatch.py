"""The dispatch of a batch with a simulated server: trouble of one email, trouble of all, refusals of all, and stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, ServerDown, Unknown
from streams.mail.delivery.window import Lease
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import RenderedEmail
from streams.mail.report import Report
from tests.harness.commands import NOW, SENDER, command
from tests.harness.examples import examples
from tests.harness.mailer_setup import InMemoryStore


class PlainRenderer:
    """Renders every email to the same short text."""

    def render(self, command: Any, links: Any) -> RenderedEmail:
        """Return an email."""
        return RenderedEmail("Subject", "<p>Text</p>", "Text")


class InDialogue(ServerDown):
    """Trouble that came with one email, on an open connection."""

    is_connecting = False


#: Returns the answer to an email, given its recipient and how often it was offered before.
Behaviour = Callable[[str, int], "Answer | Exception | Silent | None"]


class Silent:
    """In the place of an answer: the server takes the data, and answers when `answer` is set."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Server:
    """A mail server with two connections, whose answers a test decides. None never answers."""

    size = 2
    answer_timeout_s = 600.0

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.offered: Counter[str] = Counter()
        self.accepted: list[str] = []
        self._slots = asyncio.Semaphore(self.size)

    def leave_behind(self, task: asyncio.Task[Any]) -> None:
        """Do nothing: the connections of this server are enough."""

    async def send(self, sender: str, recipient: str, data: bytes, on_begun: Callable[[], None]) -> Answer:
        """Send one email as `SmtpPool.send` does."""
        async with self._slots:
            await asyncio.sleep(0)
            times = self.offered[recipient]
            self.offered[recipient] += 1
            answer = self.behaviour(recipient, times)
            if answer is None:
                await asyncio.Event().wait()
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Silent):
                on_begun()
                return await answer.answer
            if isinstance(answer, Accepted | Unknown):
                on_begun()
                self.accepted.append(recipient)
            assert answer is not None
            return answer


def addressed(count: int, **changes: Any) -> list[Any]:
    """Return `count` commands to `0@post.example`, `1@post.example`, ..., with their plans."""
    return [(command(send_id=f"s{n}", to_address=f"{n}@post.example", **changes), "send") for n in range(count)]


class Run:
    """A mailer on a simulated server."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.server = Server(behaviour)
        self.pauses: list[bool] = []
        renderer: Any = PlainRenderer()
        pool: Any = self.server
        self.mailer = Mailer(renderer, SENDER, pool, clock=lambda: NOW, on_pause=self.pauses.append, patience_s=0.1)
        self.marks = DeliveryMarks(InMemoryStore([]), "disk-1", "boot-1")

    async def deliver(self, planned: list[Any]) -> dict[str, Report]:
        """Return the reports by send id."""
        async with asyncio.timeout(20):
            reports = await self.mailer.deliver(planned, self.marks, lambda: False)
        assert len({report.command.send_id for report in reports}) == len(reports)
        return {report.command.send_id: report for report in reports}


CLOSING = InDialogue("421 4.3.2 closing")


@pytest.mark.parametrize("trouble", [CLOSING, InDialogue("the connection was closed"), None])
@pytest.mark.parametrize("place", [0, 30, 59])
async def test_trouble_of_one_email_is_its_own(trouble: Answer | None, place: int) -> None:
    """One of 60 recipients meets 421, a closed connection or silence: it waits for its retry, and 59 are sent without a pause."""
    run = Run(lambda to, times: trouble if to == f"{place}@post.example" else Accepted("Q1"))
    reports = await run.deliver(addressed(60))
    troubled = reports.pop(f"s{place}")
    assert (troubled.outcome, troubled.rule, troubled.is_bounce) == ("deferred", "no_answer", False)
    assert troubled.retry_at is not None
    assert {report.outcome for report in reports.values()} == {"sent"}
    assert len(run.server.accepted) == 59
    assert run.pauses == []


async def test_the_batch_leaves_an_unanswered_email_behind() -> None:
    """The data of one email has left, and its neighbours are answered: the batch ends without its answer, which updates its mark later."""
    silent = Silent()
    run = Run(lambda to, times: silent if to == "3@post.example" else Accepted("Q1"))
    reports = await run.deliver(addressed(10))
    left = reports.pop("s3")
    assert (left.outcome, left.rule, left.is_unanswered) == ("deferred", "no_answer", True)
    assert left.retry_at is not None
    assert 659 < (left.retry_at - NOW).total_seconds() <= 660
    assert {report.outcome for report in reports.values()} == {"sent"}
    assert run.marks.crash_state("s3", run.marks.disk) == "begun"
    assert (run.mailer.window.in_doubt, run.mailer.unanswered.is_waiting("s3")) == (1, True)
    silent.answer.set_result(Accepted("Q9"))
    await run.mailer.unanswered.wait(run.marks)
    assert (run.marks.crash_state("s3", run.marks.disk), run.marks.queue_id("s3")) == ("accepted", "Q9")
    assert (run.mailer.window.in_doubt, run.mailer.unanswered.is_waiting("s3")) == (0, False)


@pytest.mark.parametrize(
    ("answer", "state"),
    [(Refused(450, "450 4.2.0 later"), "none"), (InDialogue("421 closing", "dot"), "none"), (Unknown("cut"), "begun")],
)
async def test_a_late_answer_begins_nothing(answer: Answer, state: str) -> None:
    """A late refusal clears the mark, and a broken connection leaves it. The email is not offered again."""
    silent = Silent()
    run = Run(lambda to, times: silent if to == "3@post.example" else Accepted("Q1"))
    await run.deliver(addressed(6))
    silent.answer.set_result(answer)
    await run.mailer.unanswered.wait(run.marks)
    assert run.marks.crash_state("s3", run.marks.disk) == state
    assert run.server.offered["3@post.example"] == 1


async def test_a_batch_waits_for_an_answer_without_neighbours() -> None:
    """While the server answers nobody, the silence is not that of one recipient: the batch waits."""
    silent = Silent()
    run = Run(lambda to, times: silent)
    delivery = asyncio.ensure_future(run.deliver(addressed(1)))
    assert not (await asyncio.wait({delivery}, timeout=0.5))[0]
    silent.answer.set_result(Accepted("Q9"))
    assert [report.outcome for report in (await delivery).values()] == ["sent"]


async def test_trouble_of_an_email_without_neighbours() -> None:
    """An email alone is tried twice. Then it waits for its retry, and the partition goes on."""
    trouble = InDialogue("421 closing")
    run = Run(lambda to, times: trouble)
    assert [(report.outcome, report.rule) for report in (await run.deliver(addressed(1))).values()] == [
        ("deferred", "no_answer")
    ]
    assert run.server.offered["0@post.example"] == 2


async def test_trouble_of_all_pauses() -> None:
    """Different emails in a row meet trouble: the mailer pauses, loses no attempt, and sends each email once the server works."""
    works = False
    trouble = InDialogue("421 closing")
    run = Run(lambda to, times: Accepted("Q1") if works else trouble)

    def on_pause(is_paused: bool) -> None:
        nonlocal works
        works = True
        run.pauses.append(is_paused)

    run.mailer._on_pause = on_pause
    reports = await run.deliver(addressed(20))
    assert {report.outcome for report in reports.values()} == {"sent"}
    assert len(run.server.accepted) == 20
    assert run.pauses == [True, False]


@pytest.mark.parametrize(
    "refusal", ["554 5.7.1 Relay access denied", "535 5.7.8 authentication failed", "550 5.5.1 no"]
)
async def test_a_server_that_refuses_the_sender_pauses(refusal: str) -> None:
    """While the relay refuses the sender for all emails, they wait, and none is refused or a bounce. Then each is sent."""
    works = False
    run = Run(lambda to, times: Accepted("Q1") if works else Refused(int(refusal[:3]), refusal))

    def on_pause(is_paused: bool) -> None:
        nonlocal works
        works = True

    run.mailer._on_pause = on_pause
    reports = await run.deliver(addressed(20))
    assert {report.outcome for report in reports.values()} == {"sent"}


UNKNOWN = Refused(550, "550 5.1.1 unknown")


@pytest.mark.parametrize("purpose", ["order", "marketing"])
@pytest.mark.parametrize("refusal", [UNKNOWN, Refused(550, "550 5.7.1 policy")])
async def test_a_server_that_refuses_all_recipients(purpose: str, refusal: Answer) -> None:
    """A relay that refuses every recipient, whatever it says, is not believed: all emails wait, also the first, and no address bounces."""
    run = Run(lambda to, times: refusal)
    reports = await run.deliver(addressed(30, purpose=purpose))
    assert Counter((report.outcome, report.rule) for report in reports.values()) == {("deferred", "refused_us"): 30}
    assert not any(report.is_bounce for report in reports.values())


@pytest.mark.parametrize(("purpose", "count"), [("order", 1), ("marketing", 4)])
async def test_a_few_dead_addresses_in_a_row(purpose: str, count: int) -> None:
    """They may be dead. At the end of the batch nothing more can show that the server refuses everybody, so the refusals stand."""
    run = Run(lambda to, times: UNKNOWN)
    reports = await run.deliver(addressed(count, purpose=purpose))
    assert [(report.outcome, report.rule) for report in reports.values()] == [("refused", "5xx")] * count


async def test_a_refusal_stands_once_the_server_accepts_another_email() -> None:
    """The first refusals of a batch are those of their recipients; a relay that begins to refuse later changes nothing about them."""
    refused = {f"{n}@post.example" for n in (0, 1, 2, *range(10, 30))}
    run = Run(lambda to, times: UNKNOWN if to in refused else Accepted("Q1"))
    run.server._slots = asyncio.Semaphore(1)
    reports = await run.deliver(addressed(30, purpose="marketing"))
    outcomes = [reports[f"s{n}"].outcome for n in range(30)]
    assert outcomes == ["refused"] * 3 + ["sent"] * 7 + ["deferred"] * 20


async def test_dead_addresses_among_others_are_refused() -> None:
    """Every third recipient is unknown. Each is refused, and is a hard bounce."""
    run = Run(
        lambda to, times: Refused(550, "550 5.1.1 unknown") if int(to.partition("@")[0]) % 3 == 0 else Accepted("Q1")
    )
    run.server._slots = asyncio.Semaphore(1)
    reports = await run.deliver(addressed(30))
    assert [report.is_hard for report in reports.values() if report.outcome == "refused"] == [True] * 10


@pytest.mark.parametrize("error", [UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), RuntimeError("bug"), KeyError(1)])
async def test_an_error_concerns_one_email(error: Exception) -> None:
    """An error of the code while one email is sent is that email's outcome."""
    run = Run(lambda to, times: error if to == "3@post.example" else Accepted("Q1"))
    reports = await run.deliver(addressed(10))
    assert (reports["s3"].outcome, reports["s3"].rule) == ("refused", "failed")
    assert sum(report.outcome == "sent" for report in reports.values()) == 9


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.sampled_from(["ok", "dead", "later", "closing", "cut", "relay", "error"]), min_size=1, max_size=12))
def test_each_email_has_one_outcome(kinds: list[str]) -> None:
    """Whatever happens to each email at its first attempt, each has one report, and no accepted email has another outcome."""
    closing, cut = InDialogue("421 closing"), InDialogue("cut")
    answers: dict[str, Answer | Exception] = {
        "ok": Accepted("Q1"),
        "dead": Refused(550, "550 5.1.1 unknown"),
        "later": Refused(450, "450 4.2.0 later"),
        "closing": closing,
        "cut": cut,
        "relay": Refused(554, "554 5.7.1 relay access denied"),
        "error": RuntimeError(),
    }

    async def main() -> None:
        run = Run(lambda to, times: answers[kinds[int(to.partition("@")[0])]] if times < 3 else Accepted("Q1"))
        reports = await run.deliver(addressed(len(kinds)))
        assert reports.keys() == {f"s{n}" for n in range(len(kinds))}
        sent = {report.command.to_address for report in reports.values() if report.outcome == "sent"}
        assert sorted(run.server.accepted) == sorted(sent)
        assert not any(report.is_bounce for report in reports.values() if report.rule != "5xx")

    asyncio.run(main())


def test_a_lease_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emails may begin within half a session after the broker's last acknowledgement, counted from the request."""
    now = 100.0
    monkeypatch.setattr("streams.mail.delivery.window.clock", lambda: now)
    lease = Lease(22.5)
    assert not lease.is_valid
    lease.renew(90.0)
    assert lease.is_valid
    now = 112.6
    assert not lease.is_valid
    lease.renew(112.0)
    lease.renew(111.0)
    now = 134.5
    assert lease.is_valid


class SlowLedger:
    """A ledger whose lease ends once, after the third email has begun."""

    sharers = 1
    is_overdue = False

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.checks = 0
        self.is_expired = False

    @property
    def may_begin(self) -> bool:
        """Whether emails may begin."""
        self.checks += 1
        if self.checks == 3:
            self.is_expired = True
        return not self.is_expired

    def room_after(self, done: Any) -> int:
        """Return the room of a window that is never full."""
        return 100

    async def advance(self, begin: Any, done: Any) -> None:
        """Record emails: the lease begins again."""
        self.is_expired = False
        self.begun.append([command.send_id for command, _ in begin])

    def add_listener(self, on_room: Callable[[], None]) -> None:
        """Do nothing."""

    def remove_listener(self, on_room: Callable[[], None]) -> None:
        """Do nothing."""


async def test_an_email_after_the_lease_is_recorded_again() -> None:
    """A process that slept sends nothing more of what it had recorded, until the ledger has it again."""
    run = Run(lambda to, times: Accepted("Q1"))
    ledger = SlowLedger()
    async with asyncio.timeout(20):
        reports = await run.mailer.deliver(addressed(6), run.marks, lambda: False, ledger)
    assert sorted(run.server.accepted) == sorted(f"{n}@post.example" for n in range(6))
    assert len(reports) == 6
    assert len(ledger.begun) >= 2
    assert sum(map(len, ledger.begun)) > 6


async def test_emails_of_several_batches_do_not_wait_in_the_pool() -> None:
    """Of three batches at once, no more emails are with the server than it has connections, and one more that is ready."""
    run, most, now = Run(lambda to, times: Accepted("Q1")), 0, 0
    send = run.server.send

    async def counted(*arguments: Any) -> Answer:
        nonlocal most, now
        now += 1
        most = max(most, now)
        answer = await send(*arguments)
        now -= 1
        return answer

    run.server.send = counted  # type: ignore[method-assign]
    planned = addressed(60)
    await asyncio.gather(*(run.mailer.deliver(planned[n::3], run.marks, lambda: False) for n in range(3)))
    assert len(run.server.accepted) == 60
    assert most == run.server.size + 1


async def test_a_late_email_waits_no_longer() -> None:
    """An email with its own trouble and no time for a retry is given up. That is not a bounce."""
    trouble = InDialogue("421 closing")
    run = Run(lambda to, times: trouble if to == "0@post.example" else Accepted("Q1"))
    report = (await run.deliver(addressed(3, not_after=NOW + timedelta(seconds=5))))["s0"]
    assert (report.outcome, report.rule, report.is_bounce) == ("refused", "gave_up", False)
