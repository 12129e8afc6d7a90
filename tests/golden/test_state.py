"""State that released versions wrote. Workers must always read it, or an update would lose data.

After an intended change with a new version, run `TAKK_STATE=write make test ARGS=tests/golden/test_state.py`. It writes the files of the new
version, and changes no existing file.
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

from streams.core.model import address_state, customer_codec
from streams.core.model.address_state import decode_address, encode_address
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.events import TimerFired
from streams.core.offers import code_pool_records, popularity
from streams.core.offers.code_pool_records import decode_entry as decode_pool
from streams.core.offers.code_pool_records import encode_entry as encode_pool
from streams.core.offers.popularity import decode_counts, encode_counts
from streams.mail.delivery import ledger
from streams.mail.delivery.ledger import decode_entry, encode_entry
from streams.mail.delivery.marks import DeliveryMarks
from streams.runtime.errors import TimerTooNew
from streams.runtime.processing import timers
from streams.runtime.processing.timers import CURSOR, Timers, due_of, pack, timer_key, unpack
from streams.runtime.state.restore import apply
from streams.runtime.state.store import POSITION, WRITTEN_AT, Memory, PartitionStore
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.golden.state_values import (
    ADDRESS,
    AT,
    COUNTS,
    DUE_MS,
    ENTRY,
    FULL,
    FULL_1,
    FULL_2,
    FULL_3,
    FULL_4,
    FULL_5,
    FULL_6,
    FULL_7,
    FULL_8,
    FULL_9,
    FULL_10,
    PLAIN,
    POOL,
    STEP,
)  # fmt: skip
from tests.harness.kafka_fakes import CHANGELOG, Record, batch, task

HERE = Path(__file__).parent / "state"
TIMER_KEY = timer_key(DUE_MS, STEP.timer_id.encode())


def timer_bytes() -> bytes:
    """Return a timer as the current scheduler stores it: the key of the table, then the value."""
    _, key, value, _ = Encoder(open_codec()).effects.encode(STEP, AT)
    assert key is not None
    assert value is not None
    return TIMER_KEY + pack(key, value)


def disk_bytes(folder: Path) -> bytes:
    """Return the metadata of a current store as JSON, with a fixed write time."""
    store = PartitionStore(folder / "current", Memory(16))
    store.write({}, 42, {CURSOR: b"1763886600001"})
    marks = DeliveryMarks(store, "disk-7", "boot-1")
    marks.mark_begun("send-1")
    marks.mark_accepted("send-2", "4Q1")
    marks.mark_accepted("send-3", None)
    families = {name: dict(store._db.get_column_family(name).items()) for name in ("meta", "local")}
    assert int(families["meta"][WRITTEN_AT]) > 0
    families["meta"][WRITTEN_AT] = b"1763886600000"
    decoded = {name: {k.decode(): v.decode() for k, v in sorted(family.items())} for name, family in families.items()}
    return json.dumps(decoded, indent=1).encode() + b"\n"


def _pool_bytes(entry: code_pool_records.Entry, _: Path) -> bytes:
    return encode_pool(entry)


#: Kind of state to its current version and the files of that version, each with the function that writes it.
CURRENT: dict[str, tuple[int, dict[str, Callable[[Path], bytes]]]] = {
    "customer": (
        customer_codec.VERSION,
        {"customer_v11": lambda _: encode_customer(PLAIN), "customer_v11-full": lambda _: encode_customer(FULL)},
    ),
    "address": (address_state.VERSION, {"address_v1": lambda _: encode_address(ADDRESS)}),
    "counts": (popularity.VERSION, {"counts_v1": lambda _: encode_counts(COUNTS)}),
    "pool": (
        code_pool_records.VERSION,
        {f"pool_v1{suffix}": partial(_pool_bytes, entry) for suffix, entry in POOL.items()},
    ),
    "ledger": (ledger.VERSION, {"ledger_v1": lambda _: encode_entry(ENTRY)}),
    "timer": (timers.VERSION, {"timer_v1": lambda _: timer_bytes()}),
    "disk": (1, {"disk_v1": disk_bytes}),
}
NEWEST = [(kind, name) for kind, (_, files) in CURRENT.items() for name in files]


def fixture(name: str) -> bytes:
    """Return the bytes of a file in `state/`."""
    return (HERE / f"{name}.bin").read_bytes()


@pytest.mark.parametrize(("kind", "name"), NEWEST)
def test_current_bytes_are_those_of_the_newest_file(kind: str, name: str, tmp_path: Path) -> None:
    """The current code writes the bytes of the newest file, so a change needs a new version with its own file."""
    assert name.partition("-")[0] == f"{kind}_v{CURRENT[kind][0]}", f"{kind} has a new version: add its file to CURRENT"
    written = CURRENT[kind][1][name](tmp_path)
    path = HERE / f"{name}.bin"
    if os.environ.get("TAKK_STATE") == "write" and not path.exists():
        path.write_bytes(written)
    assert path.read_bytes() == written, "add a version: an update does not rewrite the state on disks"


@pytest.mark.parametrize("kind", CURRENT)
def test_every_version_has_a_file(kind: str) -> None:
    """Each version that was ever released has a file."""
    versions = {path.stem.partition("-")[0] for path in HERE.glob(f"{kind}_v*.bin")}
    assert versions == {f"{kind}_v{n + 1}" for n in range(CURRENT[kind][0])}


#: The files of each version of a customer, and what is decoded from them.
CUSTOMERS = {
    "customer_v1": PLAIN,
    "customer_v1-full": FULL_1,
    "customer_v2": PLAIN,
    "customer_v2-full": FULL_2,
    "customer_v3": PLAIN,
    "customer_v3-full": FULL_3,
    "customer_v4": PLAIN,
    "customer_v4-full": FULL_4,
    "customer_v5": PLAIN,
    "customer_v5-full": FULL_5,
    "customer_v6": PLAIN,
    "customer_v6-full": FULL_6,
    "customer_v7": PLAIN,
    "customer_v7-full": FULL_7,
    "customer_v8": PLAIN,
    "customer_v8-full": FULL_8,
    "customer_v9": PLAIN,
    "customer_v9-full": FULL_9,
    "customer_v10": PLAIN,
    "customer_v10-full": FULL_10,
    "customer_v11": PLAIN,
    "customer_v11-full": FULL,
}


@pytest.mark.parametrize(("name", "customer"), CUSTOMERS.items())
def test_a_customer_of_every_version(name: str, customer: Any) -> None:
    """Every field is decoded with its value, and unknown fields stay unknown."""
    assert decode_customer(fixture(name)) == customer


def _default_fields(value: Any) -> Iterator[str]:
    """Yield the fields within `value` that are empty or have their default."""
    if isinstance(value, tuple):
        for item in value:
            yield from _default_fields(item)
    if not isinstance(value, Struct):
        return
    defaults = dict(zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False))
    for name in value.__struct_fields__:
        content = getattr(value, name)
        if (content is not False and content in (None, "", 0, (), b"")) or content == defaults.get(name, ...):
            yield f"{type(value).__name__}.{name}"
        yield from _default_fields(content)


def test_every_field_has_a_value() -> None:
    """Every field has a value that is not its default, so its bytes are tested."""
    assert [*_default_fields(FULL), *_default_fields(ENTRY), *_default_fields(COUNTS), *_default_fields(ADDRESS)] == []
    assert [*_default_fields(tuple(entry for suffix, entry in POOL.items() if suffix != "-waits"))] == []


def test_a_ledger_entry_of_version_1() -> None:
    """The entry of a send in flight is decoded, with the disk that has its delivery marks."""
    assert decode_entry(fixture("ledger_v1")) == ENTRY


def test_an_address_of_version_1() -> None:
    """The state of an address is decoded, with its refusals and emails; a newer version is an error."""
    assert decode_address(fixture("address_v1")) == ADDRESS
    with pytest.raises(ValueError, match="newer"):
        decode_address(b"\x02" + fixture("address_v1")[1:])


def test_counts_of_version_1() -> None:
    """The sales counts of a product are decoded, with all weeks and related products; a newer version is an error."""
    assert decode_counts(fixture("counts_v1")) == COUNTS
    with pytest.raises(ValueError, match="newer"):
        decode_counts(b"\x02" + fixture("counts_v1")[1:])


@pytest.mark.parametrize("suffix", POOL)
def test_an_entry_of_a_pool_of_version_1(suffix: str) -> None:
    """Each kind of entry of the table `pools` is decoded; a newer version is an error."""
    assert decode_pool(fixture(f"pool_v1{suffix}")) == POOL[suffix]
    with pytest.raises(ValueError, match="newer"):
        decode_pool(b"\x02" + fixture(f"pool_v1{suffix}")[1:])


def test_a_timer_of_version_1() -> None:
    """A timer of the first version fires for the same customer, flow and step."""
    raw = fixture("timer_v1")
    assert due_of(raw) == DUE_MS
    assert raw.startswith(TIMER_KEY)
    assert_step(*unpack(raw[len(TIMER_KEY) :]))


def assert_step(key: bytes, value: bytes) -> None:
    """Check that the fired timer is `STEP`."""
    event = Decoder(open_codec()).event(topics.DUE, key, value, DUE_MS)
    assert event == TimerFired(
        timer_id=STEP.timer_id, customer_id="c1", instance_id=STEP.instance_id, flow="review", step="1", due_at=STEP.due_at,
        occurred_at=STEP.due_at,
    )  # fmt: skip


def test_a_disk_of_version_1(tmp_path: Path) -> None:
    """Position, cursor, disk id and delivery marks are read from the store of an older worker."""
    store = PartitionStore(tmp_path / "old", Memory(16))
    for name, values in json.loads(fixture("disk_v1")).items():
        family = store._db.get_column_family(name)
        for key, value in values.items():
            family.put(key.encode(), value.encode())
    assert (store.position, store.written_at_ms) == (42, 1763886600000)
    assert store.meta(POSITION) == b"42"
    assert Timers(store).cursor_ms == 1763886600001
    marks = DeliveryMarks(store, "another", "boot-1")
    assert marks.disk == "disk-7.boot-1"
    states = {
        send: (marks.crash_state(send, marks.disk), marks.queue_id(send)) for send in ("send-1", "send-2", "send-3")
    }
    assert states == {"send-1": ("begun", None), "send-2": ("accepted", "4Q1"), "send-3": ("accepted", None)}


class ChangelogRecord(Record):
    """A changelog record."""

    def error(self) -> None:
        return None


def test_state_of_every_version_is_restored_from_a_changelog(tmp_path: Path) -> None:
    """An empty store is restored from the bytes of every version, each with its key, and a restored timer fires when it is due."""
    customers, sends, pending = (
        PartitionStore(tmp_path / name, Memory(16)) for name in ("customers", "sends", "timers")
    )

    def replay(store: PartitionStore, values: dict[bytes, bytes]) -> None:
        records = [ChangelogRecord(offset, key, value, CHANGELOG) for offset, (key, value) in enumerate(values.items())]
        assert apply(records, {(CHANGELOG, 0): store}) == ({(CHANGELOG, 0): len(records)}, set(), len(records))

    files = {kind: sorted(path.stem for path in HERE.glob(f"{kind}_v*.bin")) for kind in CURRENT}
    replay(customers, {name.encode(): fixture(name) for name in files["customer"]})
    replay(sends, {name.encode(): fixture(name) for name in files["ledger"]})
    timer = fixture("timer_v1")
    replay(pending, {timer[: len(TIMER_KEY)]: timer[len(TIMER_KEY) :]})
    assert {key.decode(): decode_customer(value) for key, value in customers.items()} == CUSTOMERS
    assert [decode_entry(value) for _, value in sends.items()] == [ENTRY]
    fired: list[tuple[int, bytes]] = []
    timer_batch = batch(task(pending), [], DUE_MS)
    Timers(pending).sweep(timer_batch, [], lambda _, due, payload: fired.append((due, payload)))
    assert [due for due, _ in fired] == [DUE_MS]
    assert_step(*unpack(fired[0][1]))


def test_timers_of_a_newer_version_are_refused() -> None:
    """A timer of a newer version is an error, and no current timer looks like one."""
    with pytest.raises(TimerTooNew, match=r"timer of version 2.*newer Takk"):
        unpack(b"\xff\x02" + bytes(20))
    with pytest.raises(ValueError, match="too long"):
        pack(bytes(0xFF00), b"")
    longest = bytes(0xFEFF)
    assert unpack(pack(longest, b"v")) == (longest, b"v")
