"""State that released versions wrote: a worker must read it for ever, or an update loses what it held.

After a change that is meant, and a new version with it: `TAKK_STATE=write make test ARGS=tests/golden/test_state.py` writes the new version's files
and touches none that is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from streams.core.model import customer_codec
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.events import TimerFired
from streams.core.offers import code_pool_records, popularity
from streams.core.offers.code_pool_records import decode_entry as decode_pool
from streams.core.offers.code_pool_records import encode_entry as encode_pool
from streams.core.offers.popularity import decode_counts, encode_counts
from streams.mail.delivery import ledger
from streams.mail.delivery.ledger import decode_entry, encode_entry
from streams.mail.delivery.local_notes import DeliveryMarks
from streams.runtime.processing import timers
from streams.runtime.processing.timers import CURSOR, Timers, due_of, pack, timer_key, unpack
from streams.runtime.state.restore import apply
from streams.runtime.state.store import POSITION, WRITTEN_AT, Memory, PartitionStore
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.golden.state_values import AT, COUNTS, DUE_MS, ENTRY, FULL, FULL_1, FULL_2, FULL_3, PLAIN, POOL, STEP
from tests.harness.kafka_fakes import CHANGELOG, Record, batch, task

HERE = Path(__file__).parent / "state"
TIMER_KEY = timer_key(DUE_MS, STEP.timer_id.encode())


def timer_bytes() -> bytes:
    """A timer as today's scheduler stores it: the table's key, then its value."""
    _, key, value, _ = Encoder(open_codec()).effects.encode(STEP, AT)
    assert key is not None
    assert value is not None
    return TIMER_KEY + pack(key, value)


def disk_bytes(folder: Path) -> bytes:
    """What a store of today holds beside its table, without the moment it was written."""
    store = PartitionStore(folder / "today", Memory(16))
    store.write({}, 42, {CURSOR: b"1763886600001"})
    marks = DeliveryMarks(store, "disk-7")
    marks.mark_begun("send-1")
    marks.mark_accepted("send-2", "4Q1")
    marks.mark_accepted("send-3", None)
    families = {name: dict(store._db.get_column_family(name).items()) for name in ("meta", "local")}
    assert int(families["meta"][WRITTEN_AT]) > 0
    families["meta"][WRITTEN_AT] = b"1763886600000"
    plain = {name: {k.decode(): v.decode() for k, v in sorted(of.items())} for name, of in families.items()}
    return json.dumps(plain, indent=1).encode() + b"\n"


def _pool_bytes(entry: code_pool_records.Entry, _: Path) -> bytes:
    return encode_pool(entry)


#: Kind of state, its version today, and the file of that version with what writes it.
TODAY: dict[str, tuple[int, dict[str, Callable[[Path], bytes]]]] = {
    "customer": (
        customer_codec.VERSION,
        {"customer_v4": lambda _: encode_customer(PLAIN), "customer_v4-full": lambda _: encode_customer(FULL)},
    ),
    "counts": (popularity.VERSION, {"counts_v1": lambda _: encode_counts(COUNTS)}),
    "pool": (
        code_pool_records.VERSION,
        {f"pool_v1{what}": partial(_pool_bytes, entry) for what, entry in POOL.items()},
    ),
    "ledger": (ledger.VERSION, {"ledger_v1": lambda _: encode_entry(ENTRY)}),
    "timer": (timers.VERSION, {"timer_v1": lambda _: timer_bytes()}),
    "disk": (1, {"disk_v1": disk_bytes}),
}
NEWEST = [(kind, name) for kind, (_, files) in TODAY.items() for name in files]


def held(name: str) -> bytes:
    """The bytes of a file here."""
    return (HERE / f"{name}.bin").read_bytes()


@pytest.mark.parametrize(("kind", "name"), NEWEST)
def test_today_is_what_the_newest_file_holds(kind: str, name: str, tmp_path: Path) -> None:
    """Who changes what is written, and adds no version with its file, learns it here."""
    assert name.partition("-")[0] == f"{kind}_v{TODAY[kind][0]}", f"{kind} has a new version: name its file here"
    found = TODAY[kind][1][name](tmp_path)
    path = HERE / f"{name}.bin"
    if os.environ.get("TAKK_STATE") == "write" and not path.exists():
        path.write_bytes(found)
    assert path.read_bytes() == found, "add a version: what lies on disks is not written anew by an update"


@pytest.mark.parametrize("kind", TODAY)
def test_every_version_has_its_bytes(kind: str) -> None:
    """There is a file for each version that was ever written, so that none is forgotten."""
    there = {path.stem.partition("-")[0] for path in HERE.glob(f"{kind}_v*.bin")}
    assert there == {f"{kind}_v{n + 1}" for n in range(TODAY[kind][0])}


@pytest.mark.parametrize(
    ("name", "customer"),
    [
        ("customer_v1", PLAIN),
        ("customer_v1-full", FULL_1),
        ("customer_v2", PLAIN),
        ("customer_v2-full", FULL_2),
        ("customer_v3", PLAIN),
        ("customer_v3-full", FULL_3),
        ("customer_v4", PLAIN),
        ("customer_v4-full", FULL),
    ],
)
def test_a_customer_of_every_version(name: str, customer: Any) -> None:
    """Every field comes back with its own value, and what was not known is still not known."""
    assert decode_customer(held(name)) == customer


def _unsaid(value: Any) -> Iterator[str]:
    """The fields within `value` that hold nothing, or are what they would be unsaid."""
    if isinstance(value, tuple):
        for one in value:
            yield from _unsaid(one)
    if not isinstance(value, Struct):
        return
    defaults = dict(zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False))
    for name in value.__struct_fields__:
        found = getattr(value, name)
        if (found is not False and found in (None, "", 0, (), b"")) or found == defaults.get(name, ...):
            yield f"{type(value).__name__}.{name}"
        yield from _unsaid(found)


def test_no_field_is_unsaid() -> None:
    """A new field must be given a value here, or its bytes would be tried nowhere."""
    assert [*_unsaid(FULL), *_unsaid(ENTRY), *_unsaid(COUNTS)] == []
    assert [*_unsaid(tuple(entry for what, entry in POOL.items() if what != "-waits"))] == []


def test_a_ledger_entry_of_version_1() -> None:
    """What is known of a send in flight, with the disk that has notes of it."""
    assert decode_entry(held("ledger_v1")) == ENTRY


def test_counts_of_version_1() -> None:
    """What was counted of a product, with every week and every other product; those of a newer Takk are refused."""
    assert decode_counts(held("counts_v1")) == COUNTS
    with pytest.raises(ValueError, match="newer"):
        decode_counts(b"\x02" + held("counts_v1")[1:])


@pytest.mark.parametrize("what", POOL)
def test_an_entry_of_a_pool_of_version_1(what: str) -> None:
    """Each kind of entry of the table of pools; those of a newer Takk are refused."""
    assert decode_pool(held(f"pool_v1{what}")) == POOL[what]
    with pytest.raises(ValueError, match="newer"):
        decode_pool(b"\x02" + held(f"pool_v1{what}")[1:])


def test_a_timer_of_version_1() -> None:
    """A timer that waits a year is fired by whatever version runs then, for the same customer, flow and step."""
    raw = held("timer_v1")
    assert due_of(raw) == DUE_MS
    assert raw.startswith(TIMER_KEY)
    assert_step(*unpack(raw[len(TIMER_KEY) :]))


def assert_step(key: bytes, value: bytes) -> None:
    """What was fired is the step of `values.py`."""
    event = Decoder(open_codec()).event(topics.DUE, key, value, DUE_MS)
    assert event == TimerFired(
        timer_id=STEP.timer_id, customer_id="c1", instance_id=STEP.instance_id, flow="review", step="1", due_at=STEP.due_at,
        occurred_at=STEP.due_at,
    )  # fmt: skip


def test_a_disk_of_version_1(tmp_path: Path) -> None:
    """Position, cursor, the disk's name and its notes of sends are read from a store that an older worker left."""
    store = PartitionStore(tmp_path / "old", Memory(16))
    for name, values in json.loads(held("disk_v1")).items():
        family = store._db.get_column_family(name)
        for key, value in values.items():
            family.put(key.encode(), value.encode())
    assert (store.position, store.written_at_ms) == (42, 1763886600000)
    assert store.meta(POSITION) == b"42"
    assert Timers(store).cursor_ms == 1763886600001
    marks = DeliveryMarks(store, "another")
    assert marks.disk == "disk-7"
    found = {send: (marks.crash_state(send, "disk-7"), marks.queue_id(send)) for send in ("send-1", "send-2", "send-3")}
    assert found == {"send-1": ("begun", None), "send-2": ("accepted", "4Q1"), "send-3": ("accepted", None)}


class Replayed(Record):
    """A changelog record."""

    def error(self) -> None:
        return None


def test_all_of_it_is_restored_from_a_changelog(tmp_path: Path) -> None:
    """A wiped disk gets the bytes of every version back from Kafka, each under its key; the timer among them fires when it is due."""
    customers, sends, waiting = (
        PartitionStore(tmp_path / name, Memory(16)) for name in ("customers", "sends", "timers")
    )

    def replay(store: PartitionStore, values: dict[bytes, bytes]) -> None:
        records = [Replayed(at, key, value, CHANGELOG) for at, (key, value) in enumerate(values.items())]
        assert apply(records, {(CHANGELOG, 0): store}) == ({(CHANGELOG, 0): len(records)}, set(), len(records))

    files = {kind: sorted(path.stem for path in HERE.glob(f"{kind}_v*.bin")) for kind in TODAY}
    replay(customers, {name.encode(): held(name) for name in files["customer"]})
    replay(sends, {name.encode(): held(name) for name in files["ledger"]})
    timer = held("timer_v1")
    replay(waiting, {timer[: len(TIMER_KEY)]: timer[len(TIMER_KEY) :]})
    held_then = [PLAIN, FULL_1, PLAIN, FULL_2, PLAIN, FULL_3, PLAIN, FULL]
    assert [decode_customer(value) for _, value in customers.items()] == held_then
    assert [decode_entry(value) for _, value in sends.items()] == [ENTRY]
    fired: list[tuple[int, bytes]] = []
    one = batch(task(waiting), [], DUE_MS)
    Timers(waiting).sweep(one, [], lambda _, due, payload: fired.append((due, payload)))
    assert [due for due, _ in fired] == [DUE_MS]
    assert_step(*unpack(fired[0][1]))


def test_timers_of_a_newer_version_are_refused() -> None:
    """A timer that a newer Takk wrote is not misread, and today's are not mistaken for one."""
    with pytest.raises(ValueError, match="newer Takk"):
        unpack(b"\xff\x02" + bytes(20))
    with pytest.raises(ValueError, match="too long"):
        pack(bytes(0xFF00), b"")
    longest = bytes(0xFEFF)
    assert unpack(pack(longest, b"v")) == (longest, b"v")
