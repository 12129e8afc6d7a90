"""The step `reward`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import yaml

from streams.core.conditions.names import NAMES
from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Reward, Send
from streams.core.rules.sending_rules import SendingRules
from streams.definitions.language import keys, schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import Awaited, StepKind, WaitsAt
from streams.definitions.language.steps.reader import StepReader
from streams.definitions.problems import Problem, problem_at

REWARD = Keys(("name", "pool", "expires", "within"), ("name",))
#: The value of `pool`, if the customer's value of a name decides about it.
POOLS = Keys(("by", "pools", "otherwise"), ("by", "pools"))
#: The names of conditions that can decide about a pool.
_TEXTS = tuple([name for name, (kind, _) in NAMES.items() if kind == "text"])


class RewardKind(StepKind[Reward]):
    """A step that gives a code."""

    step = Reward
    key = "reward"
    mappings = (REWARD, POOLS)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Reward:
        """Return a reward: a signed code, or a code from a pool."""
        values = reader.mapping(node, *REWARD)
        if "within" in values and "pool" not in values:
            message = "`within` needs a pool: a signed code is never waited for"
            reader.error("flow.E023", values["within"], message, "add `pool`, or remove `within`")
        by, pools, pool = _read_pools(reader, values["pool"]) if "pool" in values else ("", (), "")
        return Reward(
            path=path,
            name=reader.name(values["name"], "reward") if "name" in values else "",
            expires=reader.duration(values["expires"]) if "expires" in values else timedelta(days=30),
            pool=pool,
            within=reader.limit(values["within"]) if "within" in values else timedelta(days=1),
            by=by,
            pools=pools,
        )

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        named, span = schemas.NAMED, schemas.SPAN
        most = {"minProperties": 1, "maxProperties": keys.MOST_POOLS}
        pools: schemas.Schema = {"type": "object", "additionalProperties": named, **most}
        chosen = schemas.mapping(POOLS, {"by": {"type": "string"}, "pools": pools, "otherwise": named})
        pool: schemas.Schema = {"anyOf": [named, chosen]}
        return schemas.mapping(REWARD, {"name": named, "pool": pool, "expires": span, "within": span}, Reward)

    def text(self, step: Reward, flow: Flow) -> str:
        """Return the reward, and the pool of its codes."""
        by = f" by {step.by}" if step.by else ""
        pool = f", code from pool {_named(step)}{by}, wait {duration_text(step.within)} at most"
        pool = "" if step.is_signed else pool
        return f"reward {step.name}, valid for {duration_text(step.expires)}{pool}"

    def check(self, step: Reward, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield a warning if the flow waits between a code from a pool and the next email, on every path."""
        following = compiled.next_step[step.path]
        if compiled.flow.is_transactional:
            return  # it must not give a reward at all, which another problem says
        if not step.is_signed and following in compiled.sending and not _sends_at_once(compiled, following):
            message = f"a code of pool {_named(step)!r} is taken here, but the flow waits before the next email"
            hint = "move the reward behind the wait: then a code is taken only when the email may be sent"
            yield problem_at(step.path, "flow.W012", message, hint)

    def waits_at(self, step: Reward) -> WaitsAt:
        """Return the step itself if it waits for a code from a pool."""
        return "nowhere" if step.is_signed else "step"

    def awaited(self, step: Reward) -> Awaited | None:
        """Return the code from a pool."""
        return None if step.is_signed else Awaited(f"a code from pool {_named(step)!r}", "pool")

    def output(self, step: Reward) -> str:
        """Return the reward."""
        return f"reward {step.name!r}"


def _named(step: Reward) -> str:
    return " or ".join(step.all_pools)


def _read_pools(reader: StepReader, node: yaml.Node) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Return the name that decides about the pool, the pools by its values, and the pool of all other values; "" for what is missing."""
    if not isinstance(node, yaml.MappingNode):
        return "", (), reader.name(node, "pool")
    values = reader.mapping(node, *POOLS)
    by = reader.value_name(values["by"], _TEXTS, "a text", is_open=True) if "by" in values else ""
    pairs = reader.pairs(values["pools"], "{tea: tea-10}") if "pools" in values else []
    if "pools" in values and isinstance(values["pools"], yaml.MappingNode) and not 0 < len(pairs) <= keys.MOST_POOLS:
        hint = f"write 1 to {keys.MOST_POOLS} values, for example {{tea: tea-10}}"
        reader.error("flow.E085", values["pools"], f"{len(pairs)} values in `pools`", hint)
    for key, value, _ in pairs:
        if value == "otherwise":
            hint = "write it beside `pools`, not below it"
            reader.error("flow.E085", key, "`otherwise` is the pool of all other values, not one of `pools`", hint)
    pools = tuple([(value, reader.name(pool, "pool")) for _, value, pool in pairs])
    return by, pools, reader.name(values["otherwise"], "pool") if "otherwise" in values else ""


def _sends_at_once(compiled: CompiledFlow, path: str | None) -> bool:
    """Return whether an email may follow at `path` or later without a wait before it."""
    step = compiled.steps[path] if path is not None else None
    if step is None or isinstance(step, (Wait, WaitFor)):
        return False
    if isinstance(step, Send):
        return True
    following = [compiled.branch(step, number) for number in range(len(step.inner))]
    if step.falls_through:
        following.append(compiled.next_step[step.path])
    return any(_sends_at_once(compiled, each) for each in following)
