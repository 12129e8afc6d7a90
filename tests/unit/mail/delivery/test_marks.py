"""The delivery marks of a disk, which count only on the disk, and within the boot, that wrote them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from streams.mail.delivery.ledger import Entry, Plan, plan_delivery
from streams.mail.delivery.marks import DeliveryMarks, boot_id
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.commands import NOW, command
from tests.harness.mailer_setup import InMemoryStore

BOOT = "boot-1"


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore([])


def test_crash_states(store: InMemoryStore) -> None:
    """A send is unmarked, begun, accepted with the server's id, and cleared."""
    marks = DeliveryMarks(store, "a", BOOT)
    own = marks.disk
    assert marks.crash_state("s1", own) == "none"
    marks.mark_begun("s1")
    assert marks.crash_state("s1", own) == "begun"
    marks.mark_accepted("s1", "Q7")
    assert (marks.crash_state("s1", own), marks.queue_id("s1")) == ("accepted", "Q7")
    marks.mark_accepted("s2", None)
    assert (marks.crash_state("s2", own), marks.queue_id("s2")) == ("accepted", None)
    marks.clear("s1")
    assert (marks.crash_state("s1", own), marks.queue_id("s1")) == ("none", None)


def test_a_restart_keeps_the_name_and_the_marks(store: InMemoryStore) -> None:
    """A disk keeps its first name and its marks in later processes of the same boot."""
    first = DeliveryMarks(store, "a", BOOT)
    first.mark_begun("s1")
    second = DeliveryMarks(store, "b", BOOT)
    assert second.disk == first.disk == "a.boot-1"
    assert second.crash_state("s1", first.disk) == "begun"


@pytest.mark.parametrize("disk", ["b.boot-1", "a.boot-2", "a", None])
def test_other_sends_are_in_doubt(store: InMemoryStore, disk: str | None) -> None:
    """A send may have left, whatever this disk has, if another disk, another boot or an earlier program had it in flight."""
    assert DeliveryMarks(store, "a", BOOT).crash_state("s1", disk) == "begun"


def test_the_boot_id_is_that_of_the_kernel(tmp_path: Path) -> None:
    """The boot id is the same in all processes of a boot. Without one, no earlier mark is trusted."""
    file = tmp_path / "boot_id"
    file.write_text("0f3e\n")
    assert boot_id(file) == boot_id(file) == "0f3e"
    missing = tmp_path / "missing"
    assert boot_id(missing) != boot_id(missing)


@pytest.mark.parametrize(("purpose", "plan"), [("marketing", "abandon"), ("order", "resend")])
def test_a_power_loss_loses_marks_and_no_doubt(tmp_path: Path, purpose: str, plan: Plan) -> None:
    """A send whose mark was lost with the unsynced end of the store's log is in doubt after the boot: it may have been accepted."""
    running, left = tmp_path / "running", tmp_path / "left"
    store = PartitionStore(running, Memory(16))
    marks = DeliveryMarks(store, "a", "boot-1")
    in_flight = Entry("in_flight", 1, NOW, disk=marks.disk)
    synced = {log.name: log.stat().st_size for log in running.glob("*.log")}
    marks.mark_begun("s1")
    marks.mark_accepted("s1", "Q1")
    shutil.copytree(running, left)
    for log in left.glob("*.log"):
        os.truncate(log, synced[log.name])
    store.close()
    store = PartitionStore(left, Memory(16))
    after = DeliveryMarks(store, "b", "boot-2")
    assert (after.disk, store.get_local(b"s1")) == ("a.boot-2", None)
    crash_state = after.crash_state("s1", in_flight.disk)
    assert plan_delivery(in_flight, command(purpose=purpose), NOW, crash_state) == plan
