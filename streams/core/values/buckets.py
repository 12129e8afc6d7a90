"""Chance without chance: a hash of names and customer says who falls into a share. The same customer always falls the same way."""

from __future__ import annotations

from streams.core.model.flow import Experiment
from streams.core.values import ids

#: A hundredth of a percent is the finest share.
_WHOLE = 10_000


def lot(*names: str) -> int:
    """A number from 0 to 9,999 that stands for `names`; over many customers each is as frequent as the others."""
    return int.from_bytes(ids.mark(*names), "big") % _WHOLE


def falls_within(percent: int, *names: str) -> bool:
    """Whether `names` fall into a share of `percent`."""
    return lot(*names) < percent * 100


def variant(experiment: Experiment, customer_id: str) -> int | None:
    """The number of the arm that a customer falls into; None: held out. What the arms leave of a hundred goes to the last."""
    drawn = lot("experiment", experiment.name, customer_id)
    if drawn < experiment.holdout * 100:
        return None
    left = _WHOLE - experiment.holdout * 100
    place = (drawn - experiment.holdout * 100) * 100 // left if left else 0  # percent of those who take part
    upto = 0
    for number, arm in enumerate(experiment.arms):
        upto += arm.percent
        if place < upto:
            return number
    return len(experiment.arms) - 1
