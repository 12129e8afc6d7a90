"""The mailer stage with a simulated mail server: what is in doubt at any time, and what a crash at any time leads to."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.effects import ResendMail
from streams.mail.delivery.ledger import decode_entry
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, Unknown
from streams.mail.delivery.window import Window
from streams.runtime.processing.batch import Batch
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC
from tests.harness.examples import examples
from tests.harness.kafka_fakes import CHANGELOG, Record
from tests.harness.records import AT_MS
from tests.harness.simulated_mail_server import InDialogue, Killed, Server, agent_of, command_records, outcomes


def in_doubt(changelog: list[tuple[str, bytes, bytes | None]]) -> set[bytes]:
    """Return the sends that may have left for all that a changelog says."""
    newest = {key: value for topic, key, value in changelog if topic == CHANGELOG}
    entries = {key: decode_entry(value) for key, value in newest.items() if value}
    return {key for key, entry in entries.items() if entry.state == "in_flight" and not entry.is_accepted}


@pytest.mark.parametrize("count", [1, 7, 60])
def test_each_email_is_acknowledged_before_it_begins(tmp_path: Path, count: int) -> None:
    """The broker has the entry of each email before its data leaves. The whole batch takes one transaction and one report per email."""
    server = Server()
    agent = agent_of(tmp_path, server)
    begun: list[bytes] = []

    def on_begun() -> None:
        begun.append(b"")
        assert len(begun) <= len({key for topic, key, _ in agent.producer.acknowledged if topic == CHANGELOG})

    server.on_begun = on_begun
    reports = outcomes(agent.run(command_records(count), at_ms=AT_MS))
    assert reports == {f"s{n}": [("sent", "accepted")] for n in range(count)}
    assert len(server.accepted) == count
    assert agent.producer.calls.count("commit") == 1
    assert in_doubt(agent.producer.committed) == set()


def test_few_emails_are_in_doubt_at_any_time(tmp_path: Path) -> None:
    """Of 120 emails at about 100 a second, no more are in doubt than the server takes in a tenth of a second, or two per connection."""
    server = Server(size=4, seconds=0.04)
    agent = agent_of(tmp_path, server)
    most = 0

    def on_begun() -> None:
        nonlocal most
        most = max(most, len(in_doubt(agent.producer.committed + agent.producer.acknowledged)))

    server.on_begun = on_begun
    assert len(outcomes(agent.run(command_records(120), at_ms=AT_MS))) == 120
    assert 0 < most <= 10


def test_the_window_follows_the_server() -> None:
    """The window is what the server takes in a tenth of a second, and never less than two emails per connection."""
    window = Window(4)
    assert window.limit == 8
    for seconds, limit in ((0.04, 10), (0.002, 200), (1.0, 8)):
        for _ in range(200):
            window.measure(seconds)
        assert window.limit == limit
    window.take(5)
    assert (window.room_after(5, 0), window.in_doubt) == (3, 5)
    heard: list[int] = []

    def on_room() -> None:
        heard.append(window.room_after(window.in_doubt, 0))

    window.add_listener(on_room)
    window.give_back(5)
    assert window.room_after(0, 0) == 8
    window.give_back(0)
    window.remove_listener(on_room)
    window.take(1)
    window.give_back(1)
    assert heard == [8]


def test_batches_share_the_window() -> None:
    """Two batches at once have half of the window each. Outcomes make room for as many emails in the same record."""
    window = Window(4)
    assert (window.sharers, window.room_after(0, 0)) == (1, 8)
    window.add_listener(lambda: None)
    window.add_listener(list)
    assert (window.sharers, window.room_after(0, 0)) == (2, 4)
    window.take(6)
    assert [window.room_after(4, done) for done in (0, 3)] == [0, 3]
    assert [window.room_after(2, done) for done in (0, 1)] == [2, 3]


def test_the_changelog_never_has_more_in_doubt(tmp_path: Path) -> None:
    """Wherever the changelog ends after a crash, no more emails are in doubt than the window allows."""
    server = Server(size=4, seconds=0.04)
    agent = agent_of(tmp_path, server)
    agent.run(command_records(60), at_ms=AT_MS)
    written = agent.producer.committed
    assert max(len(in_doubt(written[:end])) for end in range(len(written))) <= 10


@settings(max_examples=examples(40), deadline=None)
@given(
    kills=st.lists(st.integers(1, 26), min_size=1, max_size=3),
    keeps_disk=st.lists(st.booleans(), min_size=3, max_size=3),
    sizes=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    purpose=st.sampled_from(["order", "marketing"]),
)
def test_a_crash_at_any_time(kills: list[int], keeps_disk: list[bool], sizes: list[int], purpose: str) -> None:
    """The mailer dies at any step, on the same or another disk each time, and reads other batches after it.

    Each email has one outcome. It arrives twice only if the report says that it was sent again, and not at all only if it is unknown.
    """
    with TemporaryDirectory() as folder:
        records, server = command_records(12, purpose), Server()
        committed: list[tuple[str, bytes, bytes | None]] = []
        uncommitted: list[tuple[str, bytes, bytes | None]] = []
        done, disk, reports = 0, Path(folder) / "disk-0", []
        for life, size in enumerate([*sizes, *[12] * 12]):
            if done == len(records):
                break
            if life and not (life <= 3 and keeps_disk[life - 1]):
                shutil.rmtree(disk)
                disk = Path(folder) / f"disk-{life}"
            tail = {key: value for topic, key, value in uncommitted if topic == CHANGELOG}
            server._slots = asyncio.Semaphore(server.size)
            agent = agent_of(disk, server, tail)
            changes = {key: value for topic, key, value in committed if topic == CHANGELOG}
            agent.store.write(changes, len(changes))
            server.steps_left = kills[life] if life < len(kills) else -1
            try:
                agent.run(records[done : done + size], at_ms=AT_MS)
                done += len(records[done : done + size])
            except BaseExceptionGroup as error:
                if error.subgroup(Killed) is None:
                    raise
            now = agent.producer
            if now.committed:
                # Uncommitted sends of an earlier life are older than the commits of this one.
                uncommitted = [r for r in uncommitted if r[1] not in {key for _, key, _ in now.committed}]
            committed += now.committed
            uncommitted += now.acknowledged
            reports += [output for output in now.committed if output[0] == topics.EVENTS]
            agent.store.close()
        by_send = outcomes(reports)
        assert set(by_send) == {f"s{n}" for n in range(12)}
        arrived = Counter(server.accepted)
        for number in range(12):
            (outcome, reason), *more = by_send[f"s{number}"]
            times = arrived[f"{number}@post.example"]
            assert not more
            assert times == 1 or reason == "sent_again" or outcome == "unknown", (times, outcome, reason)
            assert times <= 1 or purpose == "order" or outcome == "unknown"
            assert purpose != "order" or times >= 1


def test_no_transaction_is_open_while_the_mailer_waits(tmp_path: Path) -> None:
    """A heartbeat is committed before the emails of its batch: the withdrawals may take longer to read than a transaction may be open."""
    server = Server()
    agent = agent_of(tmp_path, server, heartbeat_s=15)
    open_then: list[int] = []
    server.on_begun = lambda: open_then.append(sum(topic != CHANGELOG for topic, _, _ in agent.producer.open))
    outputs = agent.run(command_records(2), at_ms=AT_MS)
    assert outputs[0][0] == topics.DELAYS
    assert open_then == [0, 0]


def test_a_dead_letter_is_published_once(tmp_path: Path) -> None:
    """A batch that stops and is read again has one dead letter for its invalid record, not one per attempt."""
    server = Server()
    agent = agent_of(tmp_path, server)
    batch = [*command_records(2), (topics.COMMANDS, b"c1", b"not a command")]
    agent.app.task_manager.is_ready = False
    stopped = [agent.run(batch, at_ms=AT_MS) for _ in range(3)]
    assert [topic for outputs in stopped for topic, *_ in outputs] == []
    agent.app.task_manager.is_ready = True
    outputs = agent.run(batch, at_ms=AT_MS)
    assert [topic for topic, *_ in outputs].count(topics.DEAD_LETTERS) == 1
    assert len(server.accepted) == 2


def test_a_stop_waits_for_what_is_on_the_wire(tmp_path: Path) -> None:
    """Emails whose data has begun are answered and reported. The others are not sent, and are not in doubt for another disk."""
    server = Server(size=2, seconds=0.3)
    agent = agent_of(tmp_path / "a", server)
    loops = 0

    def on_begun() -> None:
        nonlocal loops
        loops += 1
        if loops == 2:
            agent.app.task_manager.is_ready = False

    server.on_begun = on_begun
    reports = outcomes(agent.run(command_records(30, "marketing"), at_ms=AT_MS))
    assert reports == {f"s{n}": [("sent", "accepted")] for n in range(2)}
    assert in_doubt(agent.producer.committed) == set()
    other = agent_of(tmp_path / "b", server)
    changes = {key: value for topic, key, value in agent.producer.committed if topic == CHANGELOG}
    other.store.write(changes, len(changes))
    server._slots, server.seconds = asyncio.Semaphore(2), 0.0
    reports = outcomes(other.run(command_records(30, "marketing"), at_ms=AT_MS))
    assert reports == {f"s{n}": [("sent", "accepted")] for n in range(2, 30)}
    assert sorted(server.accepted) == sorted(f"{n}@post.example" for n in range(30))


def test_a_silent_recipient_does_not_hold_its_partition(tmp_path: Path) -> None:
    """The server accepts an email long after its data. The next batch does not wait for it, and its retry reports that it was sent."""
    server = Server()
    server.seconds_of = {"0@post.example": 2.0}
    agent = agent_of(tmp_path, server, patience_s=0.2)
    records = command_records(10, "marketing")

    async def batches() -> AsyncIterator[Batch[Any]]:
        for first in (0, 5):
            await agent.task.lock.acquire()
            read = [Record(n, key, value or b"", topic, AT_MS) for n, (topic, key, value) in enumerate(records)]
            yield Batch(agent.task, read[first : first + 5], AT_MS, None, ThreadPoolExecutor(1))

    async def process() -> None:
        await agent.app.agent(batches())
        assert sorted(server.accepted) == [f"{n}@post.example" for n in range(1, 10)]
        assert in_doubt(agent.producer.committed) == {b"s0"}
        assert agent.app.of.drain is not None
        await agent.app.of.drain(agent.task.context)  # as if the partition were given back

    asyncio.run(process())
    assert server.accepted[-1] == "0@post.example"
    found = list(agent.producer.committed)
    (timer,) = [CODEC.decode("timer", value or b"") for topic, _, value in found if topic == topics.DELAYS]
    retry = ResendMail(send_id="s0", customer_id="c1", attempt=timer["attempt"], command=timer["command"])
    topic, key, value, _ = Encoder(CODEC).effects.encode(retry, timer["due_at"])
    reports = outcomes(found + agent.run([(topic, key, value)], at_ms=AT_MS))
    assert reports.pop("s0") == [("deferred", "no answer to the whole email yet"), ("sent", "accepted")]
    assert reports == {f"s{n}": [("sent", "accepted")] for n in range(1, 10)}
    assert len(server.accepted) == 10
    assert in_doubt(agent.producer.committed) == set()


class Breaking(Server):
    """A server that accepts an email and breaks the connection, while the mailer begins to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], None] = lambda: None

    async def send(self, sender: str, recipient: str, data: bytes, on_begun: Callable[[], None]) -> Answer:
        """Send one email as `SmtpPool.send` does."""
        on_begun()
        self.accepted.append(recipient)
        self.stop()
        return Unknown("the connection was closed")


def test_a_stop_before_the_second_copy_keeps_the_doubt(tmp_path: Path) -> None:
    """An email whose first copy may have arrived is in doubt, although its second copy is not sent any more."""
    server = Breaking()
    agent = agent_of(tmp_path / "a", server)

    def stop() -> None:
        agent.app.task_manager.is_ready = False

    server.stop = stop
    assert agent.run(command_records(1), at_ms=AT_MS) == []
    assert in_doubt(agent.producer.committed) == {b"s0"}
    assert server.accepted == ["0@post.example"]


def test_a_revoked_partition_does_not_end_the_agent(tmp_path: Path) -> None:
    """The batch of a partition that was taken away is given up. The next batch is processed."""
    server = Server()
    agent = agent_of(tmp_path, server)
    agent.task.is_closed = True
    assert agent.run(command_records(3), at_ms=AT_MS) == []
    assert server.accepted == []
    agent.task.is_closed = False
    assert len(outcomes(agent.run(command_records(3), at_ms=AT_MS))) == 3


#: Texts as a server may send them, decoded in every wrong way.
TEXTS = st.one_of(
    st.text(max_size=600),
    st.binary(max_size=600).map(lambda raw: raw.decode("latin-1")),
    st.binary(max_size=600).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
ANSWERS = st.one_of(
    st.builds(Accepted, TEXTS),
    st.builds(Refused, st.integers(400, 599), TEXTS, st.sampled_from(["mail", "rcpt", "data"])),
    st.builds(Unknown, TEXTS),
    st.builds(InDialogue, TEXTS),
)


@settings(max_examples=examples(60), deadline=None)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=4), purpose=st.sampled_from(["order", "marketing"]))
def test_any_text_of_the_server_has_an_outcome(answers: list[Answer], purpose: str) -> None:
    """Whatever the server says to some emails, each has a report that can be read, and the others are sent."""
    with TemporaryDirectory() as folder:
        server = Server()
        for number, answer in enumerate(answers):
            server.answers[f"{number}@post.example"] = [answer] * 2
        agent = agent_of(Path(folder), server)
        reports = outcomes(agent.run(command_records(len(answers) + 4, purpose), at_ms=AT_MS))
        assert reports.keys() == {f"s{n}" for n in range(len(answers) + 4)}
        assert {reports[f"s{n}"][0][0] for n in range(len(answers), len(answers) + 4)} == {"sent"}
        agent.store.close()


def test_a_refused_email_is_sent_again_after_a_crash(tmp_path: Path) -> None:
    """An email that was refused before a crash has not left: another disk sends it as if for the first time."""
    server = Server()
    server.answers["0@post.example"] = [Refused(450, "450 4.2.0 later")]
    agent = agent_of(tmp_path / "a", server)
    server.steps_left = 3
    with pytest.raises(BaseExceptionGroup):
        agent.run(command_records(5, "marketing"), at_ms=AT_MS)
    tail = {key: value for topic, key, value in agent.producer.acknowledged if topic == CHANGELOG}
    server._slots, server.steps_left = asyncio.Semaphore(4), -1
    other = agent_of(tmp_path / "b", server, tail)
    reports = outcomes(other.run(command_records(5, "marketing"), at_ms=AT_MS))
    assert set(reports) == {f"s{n}" for n in range(5)}
    assert all(times == 1 for times in Counter(server.accepted).values())
