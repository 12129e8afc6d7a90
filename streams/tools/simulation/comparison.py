"""Simulates several variants of the flows on the same history: loads the variants, reads the history, runs each."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from streams.core.rules.ruleset import Ruleset
from streams.definitions.loader import load_ruleset
from streams.settings import Settings
from streams.tools.simulation.history import (
    History,
    Products,
    from_files,
    from_topics,
    products_from_file,
    products_from_topic,
)
from streams.tools.simulation.outcome import SimulationResult, simulate, with_changes

#: The name of the variant without changes.
UNCHANGED = "as it is"

#: Returns a progress callback (done, total), given what is done and the unit that is counted.
Progress = Callable[[str, str], Callable[[int, int], None]]


class Inputs(Struct, frozen=True, kw_only=True):
    """The history that all variants share, and the products of the shop (None if they are unknown)."""

    history: History
    products: Products | None


def load_variants(settings: Settings, changes: Sequence[str], compare: Path | None) -> dict[str, Ruleset]:
    """Return the rulesets to simulate, by name: the flows unchanged, with `changes`, and those of the directory `compare`.

    Raises:
        FlowFileError: a templates directory contains errors.
        UnknownFlow: a change names an unknown flow or state.
    """
    options = settings.ruleset_options() | {"shows_pages": False}
    unchanged = load_ruleset(settings.templates_dir, **options)
    variants = {UNCHANGED: unchanged}
    if changes:
        variants[" ".join(changes)] = unchanged.with_flows(with_changes(unchanged.flows, changes))
    if compare is not None:
        variants[str(compare)] = load_ruleset(compare, **options)
    return variants


def read_files(settings: Settings, files: Sequence[Path], products_file: Path | None, progress: Progress) -> Inputs:
    """Return the history of Avro files, and the products of `products_file` if it is given.

    Raises:
        HistoryError: a file is not readable, or contains other records.
    """
    history = from_files(files, settings.schemas_dir, on_progress=progress("read", "bytes of a file"))
    return Inputs(history=history, products=_products_from(settings, products_file, history))


def read_topics(settings: Settings, products_file: Path | None, needs_products: bool, progress: Progress) -> Inputs:
    """Return the history of the cluster's topics.

    Args:
        settings: the connection to the cluster, and the directory of the schemas.
        products_file: an Avro file of products to use instead of the topic `products`.
        needs_products: whether a variant recommends products, or has flows on their changes; only then the topic `products` is read.
        progress: shows the progress.

    Raises:
        HistoryError: `products_file` is not readable, or contains other records.
        KafkaException, TimeoutError: the cluster does not answer.
    """
    history = from_topics(settings, on_progress=progress("read", "offsets"))
    products = _products_from(settings, products_file, history)
    if products is None and needs_products:
        products = products_from_topic(settings, on_progress=progress("read", "offsets"))
        history.invalid += products.invalid
    return Inputs(history=history, products=products)


def _products_from(settings: Settings, products_file: Path | None, history: History) -> Products | None:
    if products_file is None:
        return None
    products = products_from_file(products_file, settings.schemas_dir)
    history.invalid += products.invalid
    return products


def simulate_variants(
    variants: Mapping[str, Ruleset], inputs: Inputs, days: float, progress: Progress
) -> list[SimulationResult]:
    """Return the result of each variant. `days` are simulated after the last event of the history."""
    products = inputs.products
    gc.freeze()  # the history stays in memory: the garbage collector need not scan it again and again
    return [
        simulate(
            ruleset,
            inputs.history,
            days,
            name=name,
            catalogue=products.catalogue if products is not None else None,
            versions=products.versions if products is not None else (),
            on_progress=progress(f"{name}: simulated", "events"),
        )
        for name, ruleset in variants.items()
    ]
