"""Changes of the catalogue on a real broker: whatever kills the worker meanwhile, each customer who wishes for a product is notified once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.wire import topics
from tests.harness import records
from tests.harness.patient_templates import patient_templates
from tests.harness.stack import Stack, open_stack

CUSTOMERS = 90
#: Every third customer wishes for the product.
WISHING = {f"customer-{number}" for number in range(0, CUSTOMERS, 3)}
FLOW = """flow: back-in-stock
version: 1
status: live
purpose: marketing
trigger: {on: product.back_in_stock}
steps:
  - send: {message: invite}
"""
#: Each kills the worker at another point of a slice: before its transaction, in it, after its commit, and after it is on disk.
FAILPOINTS = (
    "walks.visited@2",
    "catalogue.marker_produced@3",
    "catalogue.marker_committed@2",
    "catalogue.marker_stored@3",
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack without a flow about products, in which a day lasts a day, and walks are slow."""
    templates = patient_templates(tmp_path / "templates")
    (templates / "rules.yaml").write_text("{}\n")
    env = {"TAKK_TEMPLATES_DIR": str(templates), "TAKK_WALK_RATE": "10"}
    with open_stack(tmp_path, day_s=86_400.0, env=env) as stack:
        yield stack


def add_flow(templates: Path) -> None:
    """Add the flow, with the texts of another one and a subject that names the product."""
    folder = templates / "flows" / "selling" / "back-in-stock"
    other = templates / "flows" / "loyalty" / "photo-contest"
    (folder / "copy").mkdir(parents=True)
    for name in ("invite.html.j2", "invite.txt.j2", "copy/en.yaml", "copy/da.yaml"):
        shutil.copy(other / name, folder / name)
    for language in ("en", "da"):
        copy = folder / "copy" / f"{language}.yaml"
        text = copy.read_text(encoding="utf-8").splitlines()
        text[0] = 'invite.subject: "{{ product.title }} for {{ product.price | money }}"'
        copy.write_text("\n".join(text), encoding="utf-8")
    (folder / "flow.yaml").write_text(FLOW)


def put_product(stack: Stack, **values: Any) -> None:
    """Write a record of the product."""
    record = {"sku": "lamp", "title": "Lamp", "category": "lamps", "unit_price_minor": 100, "currency": "DKK"}
    stack.produce(topics.PRODUCTS, b"lamp", {**record, "updated_at": datetime.now(UTC), **values})


def notified(stack: Stack) -> list[str]:
    """The customers who were notified of a change so far, sorted."""
    return sorted(record["customer_id"] for record in stack.records(topics.PRODUCT_CHANGES))


@pytest.mark.campaign
def test_a_worker_is_killed_while_customers_are_notified(stack: Stack) -> None:
    """Each customer who wished for the product before the flow was there gets one email, however the worker is killed; an erased one none."""
    put_product(stack, stock=0)
    now = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(CUSTOMERS):
        name = f"customer-{number}"
        profile = records.profile(
            customer_id=name, email=f"{name}@example.org", country="DK", marketing_consent=True, occurred_at=now
        )
        stack.enqueue(topics.CUSTOMERS, name.encode(), profile)
        if name in WISHING:
            wish = records.engagement("wished", customer_id=name, sku="lamp", send_id=None, occurred_at=now)
            stack.enqueue(topics.ENGAGEMENT, name.encode(), wish)
    stack.wait_until_idle()
    for process in stack.processes:
        process.kill()
    # The oracle decides by the templates of each time.
    stack.other_templates.append(Path(shutil.copytree(stack.settings.templates_dir, stack.folder / "earlier")))
    add_flow(stack.settings.templates_dir)
    stack.start()
    stack.wait_until(lambda: len(stack.records(topics.INTERESTS)) == len(WISHING), "the walk adds the wishes")
    erased = "customer-0"
    stack.produce(topics.CUSTOMERS, erased.encode(), None)
    stack.wait_until_idle()
    assert stack.records(topics.INTERESTS)[-1]["customer_id"] == erased
    for process in stack.processes:
        process.kill()
    put_product(stack, stock=5)
    stack.kill_worker_at(FAILPOINTS)
    stack.start()
    stack.wait_until(lambda: len(notified(stack)) >= len(WISHING) - 1, "all customers are notified")
    put_product(stack, stock=4)  # no change
    stack.wait_until_idle()
    assert notified(stack) == sorted(WISHING - {erased})
    assert sorted(command["customer_id"] for command in stack.records(topics.COMMANDS)) == sorted(WISHING - {erased})
    verdict = stack.judge()
    assert {" ".join(mail.subject.split()) for mail in stack.inbox.mails()} == {"Lamp for 1,00 kr."}
    assert verdict.problems == []
    assert (verdict.lost, verdict.duplicates) == ([], [])
