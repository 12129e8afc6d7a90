"""The step `experiment`: divide the customers between branches."""

from __future__ import annotations

from msgspec import Struct

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Step
from streams.core.sending.decide import hold_out
from streams.core.values.buckets import BUCKETS, bucket


class Variant(Struct, frozen=True, kw_only=True):
    """One branch of an experiment: its name, its percentage of the customers and its steps."""

    name: str
    percent: int
    steps: tuple[Step, ...]


class Experiment(Step, frozen=True, kw_only=True):
    """Divide the customers between branches by a hash of `name` and the customer id, so that a customer always gets the same branch.

    For `holdout` percent of the customers the flow ends here.
    """

    name: str
    variants: tuple[Variant, ...]
    holdout: int = 0

    @property
    def inner(self) -> tuple[tuple[Step, ...], ...]:
        """The steps of each variant."""
        return tuple([variant.steps for variant in self.variants])


def execute(execution: Execution, step: Experiment) -> Result:
    """Return the first step of the customer's variant, or end the flow for a customer who is held out."""
    number = variant_of(step, execution.uow.customer_id)
    if number is None:
        hold_out(execution.uow, execution.flow, execution.instance, step.path)
        return None
    detail = f"experiment {step.name}: variant {step.variants[number].name}"
    execution.log(step.path).schedule("experiment", detail)
    return execution.compiled.branch(step, number)


def variant_of(experiment: Experiment, customer_id: str) -> int | None:
    """Return the index of the customer's variant, or None if the customer is held out.

    If the shares of the variants add up to less than 100 %, the last variant gets the rest.
    """
    drawn = bucket("experiment", experiment.name, customer_id)
    held_out = experiment.holdout * 100
    if drawn < held_out:
        return None
    participants = BUCKETS - held_out
    percentile = (drawn - held_out) * 100 // participants if participants else 0
    end = 0
    for index, variant in enumerate(experiment.variants):
        end += variant.percent
        if percentile < end:
            return index
    return len(experiment.variants) - 1
