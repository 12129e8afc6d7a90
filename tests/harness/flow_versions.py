"""Two versions of a flow, and customers in them."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.core.model.customer import Customer
from streams.core.model.instance import Instance
from streams.core.rules.flow import Flow
from streams.definitions.language.flow import parse_flow

HEAD = "flow: f\nversion: {version}\nstatus: live\npurpose: service\ntrigger: {{on: order.placed}}\n"
OLD = """\
steps:
  - send: {message: a}
  - wait: 1d
  - split:
      - when: customer.is_vip
        steps: [{send: {message: b}}, {wait: 1d}, {emit: seen}]
      - when: customer.orders == 1
        steps: [{wait_for: {event: mail.opened, up_to: 1d, then: [{send: {message: c}}]}}]
  - send: {message: d}
"""
NEW = """\
steps:
  - send: {message: a}
  - wait_for: {event: mail.opened, up_to: 1d}
  - wait_for: {event: mail.clicked, up_to: 1d}
  - send: {message: b}
  - send: {message: d}
"""


def flow(version: int, body: str) -> Flow:
    """A version of the flow."""
    parsed = parse_flow(HEAD.format(version=version) + body, ["a", "b", "c", "d"], "f")
    assert isinstance(parsed, Flow), parsed
    return parsed


def customer(name: str, *runs: tuple[str, int, str]) -> Customer:
    """A customer with these runs: flow, version, step."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    instances = [Instance(f"{name}{number}", *run[:2], "o1", None, run[2], now, now) for number, run in enumerate(runs)]
    return Customer(customer_id=name, instances=tuple(instances))
