"""One recipient is silent after the whole email: its partition continues, and its outcome follows, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.delivery.ledger import UNANSWERED, UNANSWERED_AGAIN
from streams.mail.delivery.smtp.server import Timeouts
from streams.mail.mailer import PATIENCE_S
from streams.mail.report import Report
from streams.mail.unanswered import MARGIN_S
from tests.harness.commands import NOW
from tests.harness.examples import examples
from tests.harness.mailer_in_memory import MailerInMemory, now, to
from tests.harness.smtp_in_memory import CLOSE, GOOD, SILENCE, InMemoryServer, Script
from tests.harness.virtual_time import run

#: Rounds of the event loop: the dispatch polls 20 times a second.
ROUNDS = 400_000
NEIGHBOURS = "abcdef"
#: Seconds: longer than the patience, and shorter than the timeout of RFC 5321.
NINE_MINUTES = 540.0


class SlowServer(InMemoryServer):
    """A server that answers the message to `slow` as it is set, and `seconds` later. Others get a good answer at once."""

    def __init__(self, answer: bytes, seconds: float = 0.0) -> None:
        super().__init__(Script(self._reply, self._chunks))
        self.answer = answer
        self.seconds = seconds
        self.messages = 0

    def _reply(self, command: str, recipient: str) -> bytes:
        if command != "." or not recipient.startswith("slow"):
            return GOOD[command]
        self.messages += 1
        return self.answer

    def _chunks(self, data: bytes) -> list[tuple[float, bytes]]:
        return [(self.seconds if data == self.answer else 0.0, data)]

    def recover(self) -> None:
        """Answer every message from now on."""
        self.answer, self.seconds = GOOD["."], 0.0


SLOW = b"250 2.0.0 Ok: queued as SLOW\r\n"


async def left_behind(mailer: MailerInMemory, **changes: Any) -> Report:
    """Deliver an email to `slow` with its neighbours, and then the next batch of the partition. Return the report of `slow`."""
    reports = await mailer.deliver(to("slow", **changes), *map(to, NEIGHBOURS))
    following = await mailer.deliver(*(to(name) for name in ("g", "h")))
    assert asyncio.get_running_loop().time() < PATIENCE_S + 5
    slow = reports.pop("slow")
    assert {report.outcome for report in (reports | following).values()} == {"sent"}
    assert (slow.outcome, slow.rule, slow.is_unanswered) == ("deferred", "no_answer", True)
    return slow


def test_an_email_that_is_answered_after_nine_minutes_is_sent_once() -> None:
    """The next batch does not wait for it. Its retry is after the timeout, and reports what the server answered meanwhile."""

    async def work() -> None:
        mailer = MailerInMemory(SlowServer(SLOW, NINE_MINUTES))
        slow = await left_behind(mailer)
        assert slow.retry_at is not None
        after_timeout = (slow.retry_at - NOW).total_seconds() - Timeouts.dot_s
        assert MARGIN_S <= after_timeout < MARGIN_S + 5
        entry = mailer.table[b"slow"]
        assert (entry.state, entry.attempt, entry.disk) == ("in_flight", 2, mailer.marks.disk)
        assert mailer.mailer.window.in_doubt == 1
        report = await mailer.retry(slow)
        assert (report.outcome, report.rule, report.queue_id, report.is_resend) == ("sent", "accepted", "SLOW", False)
        assert mailer.accepted["slow"] == 1
        assert mailer.mailer.window.in_doubt == 0
        assert (mailer.table[b"slow"].state, mailer.store.get_local(b"slow")) == ("sent", None)

    run(work(), ROUNDS)


def test_emails_without_an_answer_on_all_connections() -> None:
    """The next batch is sent through another connection, within the patience of one."""

    async def work() -> None:
        server = SlowServer(SLOW, NINE_MINUTES)
        mailer = MailerInMemory(server, connections=2)
        reports = await mailer.deliver(*map(to, ("a", "b", "slow1", "slow2")))
        assert [report.outcome for report in reports.values()].count("deferred") == 2
        started = now()
        following = await mailer.deliver(*map(to, NEIGHBOURS[2:]))
        assert {report.outcome for report in following.values()} == {"sent"}
        assert (now() - started).total_seconds() < 5
        assert server.most_at_once == 3
        for name in ("slow1", "slow2"):
            assert (await mailer.outcome(reports[name])).outcome == "sent"

    run(work(), ROUNDS)


def test_an_email_that_is_never_answered() -> None:
    """A transactional email is sent again at its retry. The outcome of any other one is unknown, and it is not sent again."""

    async def work(purpose: str) -> Report:
        server = SlowServer(SILENCE)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer, purpose=purpose)
        await asyncio.sleep(NINE_MINUTES)
        server.recover()
        report = await mailer.outcome(slow)
        assert server.messages == 1 + (purpose == "order")
        assert mailer.mailer.window.in_doubt == 0
        return report

    order, marketing = run(work("order"), ROUNDS), run(work("marketing"), ROUNDS)
    assert (order.outcome, order.rule, order.is_resend) == ("sent", "sent_again", True)
    assert (marketing.outcome, marketing.rule) == ("unknown", "connection_lost")


def test_there_is_no_third_copy() -> None:
    """A transactional email whose second copy is not answered either has the outcome unknown. Each copy is waited for in the background."""

    async def work() -> None:
        server = SlowServer(SILENCE)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer)
        assert mailer.table[b"slow"].queue_id == UNANSWERED
        assert slow.retry_at is not None
        await asyncio.sleep((slow.retry_at - now()).total_seconds())
        again = to("slow", attempt=2)
        started = now()
        reports = await mailer.deliver(again, *(to(name) for name in "ijk"))
        assert now() - started < timedelta(seconds=PATIENCE_S + 5)
        assert (reports["slow"].outcome, mailer.table[b"slow"].queue_id) == ("deferred", UNANSWERED_AGAIN)
        report = await mailer.outcome(reports["slow"])
        assert (report.outcome, report.rule, server.messages) == ("unknown", "connection_lost", 2)

    run(work(), ROUNDS)


def test_a_retry_that_comes_too_early_is_deferred_again() -> None:
    """The scheduler's clock is ahead: the attempt still waits. The email is not sent a second time, and its outcome follows."""

    async def work() -> None:
        server = SlowServer(SLOW, NINE_MINUTES)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer)
        early = await mailer.retry(slow, -400.0)
        assert (early.outcome, early.rule, early.is_unanswered) == ("deferred", "no_answer", True)
        assert early.retry_at is not None
        assert slow.retry_at is not None
        assert early.retry_at - slow.retry_at == timedelta(seconds=MARGIN_S)
        assert mailer.table[b"slow"].attempt == 3
        report = await mailer.retry(early)
        assert (report.outcome, report.rule, server.messages) == ("sent", "accepted", 1)

    run(work(), ROUNDS)


def test_a_late_refusal() -> None:
    """An email that is refused after its batch has left it was not accepted: its retry sends it as for the first time."""

    async def work() -> None:
        server = SlowServer(b"451 4.3.0 later\r\n", 300.0)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer, purpose="marketing")
        await asyncio.sleep(NINE_MINUTES)
        assert mailer.store.get_local(b"slow") is None
        server.recover()
        report = await mailer.retry(slow)
        assert (report.outcome, report.rule, report.is_resend) == ("sent", "accepted", False)
        assert mailer.accepted["slow"] == 1

    run(work(), ROUNDS)


@pytest.mark.parametrize(
    ("answer", "purpose", "outcome"),
    [
        (SLOW, "order", "sent"),
        (SLOW, "marketing", "sent"),
        (SILENCE, "order", "unknown"),
        (SILENCE, "marketing", "unknown"),
    ],
)
def test_an_email_that_has_expired_at_its_retry(answer: bytes, purpose: str, outcome: str) -> None:
    """The retry of an expired email reports whether it was accepted. It is not sent again."""

    async def work() -> None:
        server = SlowServer(answer, NINE_MINUTES)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer, purpose=purpose, not_after=NOW + timedelta(minutes=5))
        assert (await mailer.retry(slow)).outcome == outcome
        assert server.messages == 1

    run(work(), ROUNDS)


def test_an_expired_email_that_was_refused() -> None:
    """An email that was refused, and has expired at its retry, is expired."""

    async def work() -> None:
        mailer = MailerInMemory(SlowServer(b"451 4.3.0 later\r\n", 300.0))
        slow = await left_behind(mailer, not_after=NOW + timedelta(minutes=5))
        assert (await mailer.retry(slow)).outcome == "expired"

    run(work(), ROUNDS)


def test_an_email_alone_is_waited_for() -> None:
    """Without an answered neighbour nothing shows that the silence is the recipient's: the batch waits for the timeout."""

    async def work() -> None:
        mailer = MailerInMemory(SlowServer(SLOW, 100.0))
        reports = await mailer.deliver(to("slow"))
        assert reports["slow"].outcome == "sent"
        assert (now() - NOW).total_seconds() >= 100

    run(work(), ROUNDS)


def test_the_partition_is_given_away() -> None:
    """The answer to an email of a store that is closed writes no mark. The next owner, on another disk, does not know what happened."""

    async def work() -> None:
        server = SlowServer(SLOW, NINE_MINUTES)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer)
        mailer.store.is_open = False
        before = dict(mailer.store.marks)
        other = MailerInMemory(server, mailer.table)
        await asyncio.sleep(NINE_MINUTES)
        assert mailer.store.marks == before
        assert mailer.mailer.window.in_doubt == 0
        server.recover()
        report = await other.retry(slow)
        assert (report.outcome, report.is_resend, mailer.accepted["slow"]) == ("sent", True, 2)

    run(work(), ROUNDS)


@pytest.mark.parametrize(("is_same_disk", "rule"), [(True, "accepted"), (False, "sent_again")])
def test_a_crash_after_the_answer(is_same_disk: bool, rule: str) -> None:
    """The mark survives the process: the next one confirms the email on the same disk, and sends it again on another."""

    async def work() -> None:
        server = SlowServer(SLOW, NINE_MINUTES)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer)
        await asyncio.sleep(NINE_MINUTES)
        server.recover()
        other = MailerInMemory(server, mailer.table, mailer.store if is_same_disk else None)
        report = await other.retry(slow)
        assert (report.outcome, report.rule) == ("sent", rule)

    run(work(), ROUNDS)


def test_a_batch_that_is_read_again_does_not_send_a_second_copy() -> None:
    """The partition is given back and comes again while the attempt waits: its first command is read again, and deferred again."""

    async def work() -> None:
        server = SlowServer(SLOW, NINE_MINUTES)
        mailer = MailerInMemory(server)
        slow = await left_behind(mailer)
        reports = await mailer.deliver(to("slow"))
        assert (reports["slow"].outcome, reports["slow"].retry_at) == ("deferred", slow.retry_at)
        report = await mailer.outcome(slow)
        assert (report.outcome, report.rule, server.messages) == ("sent", "accepted", 1)

    run(work(), ROUNDS)


def test_a_stop_waits_for_the_answers_that_are_left() -> None:
    """The partition is given back once the answer is here. A wait that was cut short is not repeated."""

    async def work() -> None:
        mailer = MailerInMemory(SlowServer(SLOW, NINE_MINUTES))
        slow = await left_behind(mailer)
        wait = mailer.mailer.unanswered.wait
        await wait(MailerInMemory(mailer.server).marks)  # no email of another partition
        await wait(mailer.marks)
        assert (now() - NOW).total_seconds() == pytest.approx(NINE_MINUTES)
        assert (await mailer.retry(slow)).outcome == "sent"
        slow = (await mailer.deliver(to("slow-2"), *(to(name) for name in "xyz")))["slow-2"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(mailer.marks), 60.0)
        started = now()
        await wait(mailer.marks)
        assert now() == started
        assert (await mailer.retry(slow)).outcome == "sent"

    run(work(), ROUNDS)


def test_the_second_copy_is_not_begun_in_the_background() -> None:
    """The connection breaks after the data of an email that its batch has left. Only the retry sends it again."""

    async def work() -> None:
        server = SlowServer(CLOSE)
        mailer = MailerInMemory(server)
        server.script.chunks = lambda data: [(0.0, data)]
        server.answer = SILENCE
        slow = await left_behind(mailer)
        server.recover()
        await asyncio.sleep(NINE_MINUTES + 30)  # the timeout closes the connection
        assert (server.messages, mailer.accepted["slow"]) == (1, 0)
        assert (await mailer.retry(slow)).rule == "sent_again"

    run(work(), ROUNDS)


ANSWERS = st.sampled_from(
    [GOOD["."], GOOD["."], SLOW, SLOW, SILENCE, CLOSE, b"451 4.3.0 later\r\n", b"550 5.1.1 no\r\n"]
)


@settings(max_examples=examples(60), deadline=None)
@given(
    answers=st.lists(
        st.tuples(ANSWERS, st.sampled_from([0.0, 20.0, 45.0, 300.0, 599.0, 700.0])), min_size=1, max_size=3
    ),
    purpose=st.sampled_from(["order", "marketing"]),
    skew=st.sampled_from([0.0, 0.0, -59.0, -200.0, 3600.0]),
    lasts_s=st.sampled_from([400.0, 3000.0, 100_000.0]),
)
def test_each_email_has_one_true_outcome(
    answers: list[tuple[bytes, float]], purpose: str, skew: float, lasts_s: float
) -> None:
    """Whatever the server answers to each message, and when: an email arrives twice only if its outcome says so."""

    async def work() -> None:
        left = {f"s{number}": [answer] for number, answer in enumerate(answers)}
        seconds: list[float] = []

        def reply(command: str, recipient: str) -> bytes:
            queue = left.get(recipient.partition("@")[0], [])
            answer, wait_s = queue.pop() if command == "." and queue else (GOOD[command], 0.0)
            seconds.append(wait_s)
            return answer

        server = InMemoryServer(Script(reply, lambda data: [(seconds[-1], data)]))
        mailer = MailerInMemory(server)
        commands = [to(name, purpose=purpose, not_after=NOW + timedelta(seconds=lasts_s)) for name in left]
        reports = await mailer.deliver(*commands, *map(to, NEIGHBOURS))
        assert reports.keys() == {*left, *NEIGHBOURS}
        for name in left:
            report = reports[name]
            while report.outcome == "deferred":
                report = await mailer.retry(report, skew)
            times = mailer.accepted[name]
            if report.outcome == "sent":
                assert times == 1 or report.is_resend
            elif report.outcome != "unknown":
                assert times == 0
            assert times <= 2
            assert times <= 1 or purpose == "order"
        assert mailer.mailer.window.in_doubt == 0
        assert not mailer.store.marks.keys() - {b"disk"}

    run(work(), ROUNDS)
