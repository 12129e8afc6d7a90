"""A stage: what one agent reads, the table it keeps, and what happens when it fails. The agent itself is a Faust agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task


def _same(value: Any) -> Any:
    return value


@dataclass(kw_only=True)
class Stage:
    """The description of one agent.

    Attributes:
        name: the agent's name: part of its transactional ids and its label in metrics.
        topics: co-partitioned topics, read together, partition number by partition number.
        dead_letter: makes the output for a record that cannot be taken: (record, reason, detail, now in ms) -> output.
        table: name of its table, or None.
        encode, decode: between a value of the table and bytes.
        is_too_new: the errors of `decode` that say that a newer worker wrote the value. They end this one: no record is at fault.
        journal: makes one output per committed batch that names what it read: (partition, now in ms, topic -> (first, last), records).
        is_due: tells whether a task wants to run although there is nothing to read (timers); asked often, must be cheap.
        open: called once for a task that was restored, before its first batch.
    """

    name: str
    topics: tuple[str, ...]
    dead_letter: Callable[[Any, str, str, int], ProducerRecord]
    table: str | None = None
    encode: Callable[[Any], bytes] = _same
    decode: Callable[[bytes], Any] = _same
    is_too_new: type[Exception] | tuple[type[Exception], ...] = ()
    journal: Callable[[int, int, dict[str, tuple[int, int]], int], ProducerRecord] | None = None
    is_due: Callable[[Task, int], bool] | None = None
    open: Callable[[Task], None] = lambda task: None
    on_moved: Callable[[Any], None] = lambda record: None
    on_failure: Callable[[Any, Exception], None] = lambda record, error: None
    on_fatal: Callable[[Task, Exception], None] = lambda task, error: None
    on_done: Callable[[Batch], None] = lambda batch: None
    changelog: str = ""
    channel: Any = field(default=None, repr=False)
