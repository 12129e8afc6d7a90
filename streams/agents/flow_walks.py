"""The walks of flows over the stored customers of a partition: each customer whom a campaign or another walk reaches gets a timer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from streams.core.model.versioned_codec import UnknownVersion
from streams.core.rules.ruleset import Ruleset
from streams.core.triggers.walk_plans import WalkPlan
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.observability.gauges import OwnedGauges
from streams.runtime.errors import StateError
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.timers import NEVER
from streams.runtime.processing.walks import Walks
from streams.runtime.state.store import PartitionStore
from streams.wire.encode.encoder import Encoder

log = structlog.get_logger(__name__)

#: How long a walk that has ended is remembered after its flow is gone. A flow that returns earlier starts no second walk.
REMEMBERED = timedelta(days=400)


class FlowWalks:
    """The walks of one partition.

    Args:
        store: the partition's restored store of customers.
        ruleset: the flows and policies.
        plans: the walks that its flows need.
        encoder: encodes the timers.
        rate: the customers that are visited per second, at most.

    Attributes:
        ruleset: the flows and policies.
    """

    def __init__(
        self, store: PartitionStore, ruleset: Ruleset, plans: Sequence[WalkPlan], encoder: Encoder, rate: int
    ) -> None:
        self.ruleset = ruleset
        self._plans = {plan.name: plan for plan in plans}
        self._encode = encoder.effects.encode
        # A walk for a flow that only a worker with other templates knows waits for that worker.
        self.walks = Walks(store, rate, is_own=self._plans.__contains__)
        self._next_ms = self._next_start()

    def is_due(self, now_ms: int) -> bool:
        """Return whether a walk starts, or its next slice is due. `now_ms` is in milliseconds since 1970."""
        return self._next_ms <= now_ms or self.walks.is_due(now_ms)

    def step(self, batch: Batch[FlowWalks]) -> None:
        """Start the walks that are due, and visit the next customers. Call it before the records of the batch."""
        if not self.is_due(batch.now_ms):
            return
        if self._next_ms <= batch.now_ms:
            self._start(batch)
        for name in self.walks.running:
            if self._plans[name].ends_at <= utc_from_ms(batch.now_ms):
                log.warning("a walk over the customers is too late and ends", walk=name, partition=batch.partition)
                self.walks.end(batch, name)
        visited = self.walks.step(batch, self._visit)
        metrics.WALK_VISITS.inc(visited)

    def _start(self, batch: Batch[FlowWalks]) -> None:
        now = utc_from_ms(batch.now_ms)
        for name, plan in self._plans.items():
            if name not in self.walks and plan.starts_at <= now < plan.ends_at:
                self.walks.start(batch, name, payload=name.encode(), is_kept=True)
                log.info("a walk over the customers starts", walk=name, partition=batch.partition)
        self.walks.forget(batch, batch.now_ms - round(REMEMBERED.total_seconds() * 1000), self._plans)
        self._next_ms = self._next_start(now)

    def _next_start(self, now: datetime | None = None) -> int:
        """Return when the next walk starts, in milliseconds since 1970, or `NEVER`."""
        waiting = [
            plan.starts_at
            for name, plan in self._plans.items()
            if name not in self.walks and (now is None or now < plan.ends_at)
        ]
        return min((round(at.timestamp() * 1000) for at in waiting), default=NEVER)

    def _visit(self, batch: Batch[FlowWalks], payload: bytes, key: bytes, raw: bytes) -> None:
        plan, now = self._plans[payload.decode()], utc_from_ms(batch.now_ms)
        state = batch.get(key)
        try:
            effects = plan.effects(self.ruleset, state, now)
            records = [self._encode(effect, now) for effect in effects]
        except (StateError, UnknownVersion):
            raise
        except Exception as error:
            metrics.WALK_FAILURES.inc()
            log.error(
                "a walk could not decide about a customer", walk=plan.name, error=type(error).__name__, exc_info=error
            )
            return
        if records and not plan.is_of_index:
            metrics.WALK_STARTS.inc()
        for record in records:
            batch.send(*record)


def walk_gauges() -> OwnedGauges:
    """Return the gauge of the customers that walks have still to visit, for each owned partition."""
    return OwnedGauges("flows", _reading, metrics.WALK_LEFT)


def _reading(task: Any) -> dict[Any, tuple[float, ...]]:
    return {task.partition: (task.context.walks.left,)}
