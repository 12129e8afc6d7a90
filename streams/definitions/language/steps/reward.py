"""The step `reward`."""

from __future__ import annotations

from datetime import timedelta

import yaml

from streams.core.rules.flow import Flow, Reward
from streams.definitions.language import schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import Awaited, StepKind, WaitsAt
from streams.definitions.language.steps.reader import StepReader

REWARD = Keys(("name", "pool", "expires", "within"), ("name",))


class RewardKind(StepKind[Reward]):
    """A step that gives a code."""

    step = Reward
    key = "reward"
    mappings = (REWARD,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Reward:
        """Return a reward: a signed code, or a code from a pool."""
        values = reader.mapping(node, *REWARD)
        if "within" in values and "pool" not in values:
            message = "`within` needs a pool: a signed code is never waited for"
            reader.error("flow.E023", values["within"], message, "add `pool`, or remove `within`")
        return Reward(
            path=path,
            name=reader.name(values["name"], "reward") if "name" in values else "",
            expires=reader.duration(values["expires"]) if "expires" in values else timedelta(days=30),
            pool=reader.name(values["pool"], "pool") if "pool" in values else "",
            within=reader.limit(values["within"]) if "within" in values else timedelta(days=1),
        )

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        named, span = schemas.NAMED, schemas.SPAN
        return schemas.mapping(REWARD, {"name": named, "pool": named, "expires": span, "within": span}, Reward)

    def text(self, step: Reward, flow: Flow) -> str:
        """Return the reward, and the pool of its codes."""
        pool = f", code from pool {step.pool}, wait {duration_text(step.within)} at most" if step.pool else ""
        return f"reward {step.name}, valid for {duration_text(step.expires)}{pool}"

    def waits_at(self, step: Reward) -> WaitsAt:
        """Return the step itself if it waits for a code from a pool."""
        return "step" if step.pool else "nowhere"

    def awaited(self, step: Reward) -> Awaited | None:
        """Return the code from a pool."""
        return Awaited(f"a code from pool {step.pool!r}", "pool") if step.pool else None

    def output(self, step: Reward) -> str:
        """Return the reward."""
        return f"reward {step.name!r}"
