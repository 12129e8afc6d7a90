"""`takk flows explain`: what it reads, prints and refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.events import OrderPlaced
from streams.core.rules.ruleset import Ruleset
from streams.gateway.api.examples import EXAMPLES
from streams.settings import Settings
from tests.harness.events import order
from tests.unit.tools.cli.runner import run, write_flow

OPTIONS = "streams.tools.cli.explain"
STATES = "streams.tools.operations.customer_states"


def order_now(**changes: str) -> str:
    """An order of the API, placed now."""
    now = datetime.now(UTC).isoformat()
    return json.dumps(EXAMPLES["orders"]["An order"] | {"placed_at": now, "occurred_at": now, **changes})


def test_a_new_customer(tmp_path: Path) -> None:
    """Without --customer the event is explained for a new customer; from a file or as text, and as JSON."""
    write_flow(tmp_path, "live")
    file = tmp_path / "order.json"
    file.write_text(order_now())
    for event in (str(file), file.read_text()):
        code, output = run("flows", "explain", event, "--templates", str(tmp_path))
        assert code == 0
        assert output.splitlines()[:2] == ["customer c-77 (times in UTC)", "hello v2 starts"]
    code, output = run("flows", "explain", str(file), "--json", "--templates", str(tmp_path))
    assert (code, json.loads(output)["flows"][0]["result"]) == (0, "starts")


def test_a_customer_of_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --customer the state is read from the cluster; an unknown customer is an error."""
    write_flow(tmp_path, "live")
    now = datetime.now(UTC)
    placed = OrderPlaced(order("10042", now), now)
    states: dict[str, Customer] = {"c1": advance(Ruleset([]), new_customer("c1"), placed, now)[0]}

    def find(settings: Settings, customer: str, on_progress: object) -> Customer | None:
        return states.get(customer)

    monkeypatch.setattr(f"{STATES}.find_customer", find)
    monkeypatch.setattr(f"{OPTIONS}.on_kafka", lambda settings, action: action())
    arguments = ("flows", "explain", order_now(customer_id="c1", kind="cancelled"), "--templates", str(tmp_path))
    code, output = run(*arguments, "--customer", "c1")
    assert code == 0
    assert "hello v2 does not start: the event is not its trigger: it starts on order.placed" in output
    code, output = run(*arguments[:2], order_now(customer_id="c2"), *arguments[3:], "--customer", "c2")
    assert (code, output.startswith("Error: no state of customer 'c2' in takk.")) == (1, True)


def test_what_is_refused(tmp_path: Path) -> None:
    """A missing file, an invalid event and invalid flows are errors that name the cause."""
    write_flow(tmp_path, "live")
    at = ("--templates", str(tmp_path))
    code, output = run("flows", "explain", str(tmp_path / "none.json"), *at)
    assert (code, "No such file" in output) == (1, True)
    code, output = run("flows", "explain", order_now(kind="plced"), *at)
    assert (code, "kind: unknown value 'plced'" in output) == (1, True)
    code, output = run("flows", "explain", order_now(), "--templates", str(tmp_path / "none"))
    assert (code, "the flows contain errors" in output) == (1, True)
