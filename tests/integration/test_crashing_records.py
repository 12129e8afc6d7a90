"""Records that end the process: each is found and becomes a dead letter, and a process that is killed condemns none."""

from __future__ import annotations

import contextlib

import pytest

from streams.runtime.isolation.note import Noted, read_notes
from tests.harness.stack import wait_until
from tests.integration.counter import EXIT, NOTES, SEGFAULT, SLOW, crash_log_of
from tests.integration.jobs import KEYS, Job, Worker, make_records

ISOLATE = "--isolate"
#: The reason of the dead letter of a record that ended the process, as the job publishes it.
CRASHED = b"crashed"


@pytest.fixture(autouse=True)
def _crash_log(job: Job) -> None:
    """Create the topic of the job's crash log."""
    job.create(f"{job.app}-crash-notes", **{"cleanup.policy": "compact"})


def noted(worker: Worker) -> Noted | None:
    """Return what the worker is computing, or was computing when it ended. A worker removes the notes before its own at its start."""
    with contextlib.suppress(FileNotFoundError):
        return next(iter(read_notes(worker.disk / NOTES)), None)
    return None


def expect(job: Job, poison: tuple[bytes, bytes]) -> dict[bytes, list[bytes]]:
    """Return the output that the input must give, if the record `poison` is a dead letter."""
    at = job.input.index(poison)
    before = [value for key, value in job.input[:at] if key == poison[0]]
    job.input.remove(poison)
    output = job.expected_output()
    output[poison[0]].insert(len(before), CRASHED)
    return output


@pytest.mark.parametrize("value", [EXIT, pytest.param(SEGFAULT, marks=pytest.mark.campaign)])
def test_a_record_that_ends_every_process_becomes_a_dead_letter(job: Job, value: bytes) -> None:
    """Two workers end on it at most five times in all; then it is a dead letter, once, and all other records are counted."""
    poison = (KEYS[3], value)
    records = make_records(400)
    job.publish(*records[:150], poison, *records[150:])
    workers = [job.worker("a"), job.worker("b")]
    for worker in workers:
        worker.start(ISOLATE)
    expected, deaths = expect(job, poison), 0

    def is_done() -> bool:
        nonlocal deaths
        for worker in workers:
            if worker.has_ended:
                deaths += 1
                worker.start(ISOLATE)
        return job.output() == expected

    wait_until(is_done, "the record is a dead letter, and all others are counted")
    assert 2 <= deaths <= 5
    assert not any(worker.has_ended for worker in workers)
    assert job.changelog_state() == job.expected_state()
    logs = "".join(worker.log() for worker in workers)
    assert "the process ended while it computed records" in logs
    assert f"offset={offset_of(job, poison[1])}" in logs


def offset_of(job: Job, value: bytes) -> int:
    """Return the offset of the input record with this value."""
    (offset,) = [record.offset() for record in job.read(f"{job.app}-in") if record.value() == value]
    return int(offset)


@pytest.mark.campaign
def test_another_worker_knows_the_record(job: Job) -> None:
    """A worker with an empty disk that takes over the partition makes the record a dead letter at once, without ending."""
    poison = (b"k3", EXIT)
    job.publish(poison)
    job.publish((b"k3", b"x"))
    first, second = job.worker("first"), job.worker("second")
    for _ in range(3):
        first.start(ISOLATE)
        first.await_exit()
    crash_log = crash_log_of(first.bootstrap, job.app)
    first.start(ISOLATE)  # publishes the last crash before it joins
    wait_until(lambda: any(c.condemned for c in crash_log.read().values()), "the crash is published")
    first.kill()
    second.start(ISOLATE)
    expected = expect(job, poison)
    wait_until(lambda: job.output() == expected, "the record is a dead letter")
    assert not second.has_ended


@pytest.mark.campaign
def test_kills_condemn_no_record(job: Job) -> None:
    """A worker is killed four times during one long batch: the batch is counted, and no record becomes a dead letter."""
    job.publish(*[(b"k3", SLOW)] * 40)
    worker = job.worker("worker")
    for least in (0, 8, 16, 24):
        worker.start(ISOLATE)

        def is_computing(least: int = least) -> bool:
            note = noted(worker)
            assert not worker.has_ended, worker.log()
            return note is not None and (least == 0 or (note.place is not None and note.place.offset >= least))

        wait_until(is_computing, "the batch is being computed")
        worker.kill()
    worker.start(ISOLATE)
    job.await_output()
    assert CRASHED not in job.output()[b"k3"]
