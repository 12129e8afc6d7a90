"""Checks of emails that carry a document: the event that starts the flow has all that it shows, and the brand names the seller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Reward, Send
from streams.definitions.checks.paths import before
from streams.definitions.checks.shop_brand import BRAND, brand_of
from streams.definitions.problems import Problem, problem_at
from streams.mail.rendering.brand import is_placeholder


def check_documents(compiled: CompiledFlow) -> Iterator[Problem]:
    """Yield the emails with a document that do not come at an event of the order. The state has no billing address, and few lines."""
    is_late = not compiled.flow.trigger.on.startswith("order.")
    for path, step in compiled.steps.items():
        if not isinstance(step, Send) or not step.attach:
            continue
        waits = step.not_before is not None or any(
            _waits(compiled.steps[earlier]) for earlier in before(compiled, path)
        )
        if is_late or waits:
            when = "after a wait" if waits else "at the event of a parcel"
            message = f"the {step.attach} may lack the billing address and lines of the order: it is sent {when}"
            yield problem_at(path, "flow.W015", message, "send it at once, in a flow that starts with the order")


def _waits(step: object) -> bool:
    return isinstance(step, (Wait, WaitFor)) or (isinstance(step, Reward) and not step.is_signed)


def check_seller(root: Path, flows: Iterable[Flow]) -> Iterator[Problem]:
    """Yield a warning if a live flow sends invoices, and the brand lacks what the law asks of their seller.

    Args:
        root: the templates folder.
        flows: all versions of all flows.
    """
    carrying = [flow for flow in flows if flow.status == "live" and _carries_document(flow)]
    for country, seller in brand_of(root).details.items() if carrying else ():
        if any(map(is_placeholder, seller.legal_lines)):
            continue  # the example: another warning says that all of it has to be replaced
        parts = {"company": seller.company, "address": seller.address, "vat": seller.vat or seller.registration}
        if missing := [name for name, value in parts.items() if not value]:
            where = "" if country == "*" else f" for {country}"
            message = f"the brand has no {' and no '.join(missing)}{where}, so flow {carrying[0].name} sends receipts and no invoices"
            yield Problem("brand.W006", message, "add what the law asks of a seller").in_file(root / BRAND)


def _carries_document(flow: Flow) -> bool:
    return any(isinstance(step, Send) and step.attach for step in CompiledFlow(flow).steps.values())
