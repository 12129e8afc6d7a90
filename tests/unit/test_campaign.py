"""The crash campaign: its stops, its table and its length."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.crash.results import README, Row, table, with_table
from tests.crash.scenarios import SCENARIOS, environment
from tests.crash.shop_actions import ShopActions
from tests.crash.stops import Fault, Stops, longest_stops

#: Seconds that the whole campaign may take.
LIMIT_S = 75 * 60


def test_a_stop_belongs_to_the_fault_during_it() -> None:
    """The partition of the process that was killed is a victim, the one of its neighbour is not; nothing counts before the fault."""
    outputs = {("worker", 0): [0, 5_000, 5_900, 9_000, 9_900], ("worker", 1): [100, 5_500, 7_000, 9_800]}
    faults = [Fault(6_000, {"worker": frozenset({0})})]
    assert longest_stops(faults, outputs, [(0, 10_000)]) == Stops(victim_s=3.1, others_s=2.8)


def test_a_stop_after_the_fault_belongs_to_the_fault_before_it() -> None:
    """A rebalance may start later than its fault."""
    outputs = {("mailer", 0): [0, 1_000, 1_500, 8_000, 8_900]}
    faults = [Fault(1_200, {"mailer": frozenset({3})}), Fault(1_300, {"worker": frozenset({0})})]
    assert longest_stops(faults, outputs, [(0, 9_000)]) == Stops(None, 6.5)


def test_a_stop_during_two_faults_is_a_victims() -> None:
    """A partition whose owner was hit stays a victim while another process is hit, and until the shop closes."""
    faults = [Fault(1_000, {"worker": frozenset({0})}), Fault(2_000, {"worker": frozenset({1})})]
    assert longest_stops(faults, {("worker", 0): [500]}, [(0, 5_000)]) == Stops(4.5, None)


def test_a_stop_while_the_shop_is_closed_does_not_count() -> None:
    """Without orders a partition has nothing to do."""
    faults = [Fault(500, {"worker": frozenset()})]
    outputs = {("worker", 0): [0, 900, 50_000, 50_900]}
    assert longest_stops(faults, outputs, [(0, 1_000), (50_000, 51_000)]) == Stops(None, 0.9)


def test_the_table() -> None:
    """A row has the counts and the stops, a failure is marked, and a table replaces the earlier one in the page."""
    rows = [
        Row("one", "", 7, kills=2, sends=1234, seconds=61.4, victim_stop_s=3.25),
        Row("two", "", 7, lost=1, unknown=2, seconds=30.0, others_stop_s=0.5, problems=["late"]),
    ]
    text = table(rows)
    assert "| one | 2 | 1,234 | 0 | 0 | 0 | 3.2 | - | 61 | passed |" in text
    assert "| two | 0 | 0 | 1 | 0 | 2 | - | 0.5 | 30 | FAILED |" in text
    assert text.endswith("Together 2 minutes.\n")
    page = "before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"
    assert with_table(page, rows) == f"before\n<!-- results -->\n{text}<!-- end of results -->\nafter\n"


def test_the_actions_of_a_shop() -> None:
    """The seed determines them. All kinds occur, every record is a valid event, and the other orders have ids of their own."""
    codec, shop = open_codec(), Shop(7, 50.0, 1.0)
    start = datetime(2026, 3, 27, 12, tzinfo=UTC)
    actions, again = ShopActions(3, 1.0), ShopActions(3, 1.0)
    kinds: Counter[str] = Counter()
    order_ids: set[str] = set()
    for shop_record in shop.records(start, 20):
        more = actions.after(shop_record.topic, shop_record.record)
        assert again.after(shop_record.topic, shop_record.record) == more
        for topic, record in more:
            value = codec.encode(topics.SCHEMA_OF[topic], record)
            event = Decoder(codec).event(topic, record["customer_id"].encode(), value, round(start.timestamp() * 1000))
            kinds[type(event).__name__] += 1
            if topic == topics.ORDERS:
                order_ids.add(record["order_id"])
                kinds["imported"] += record.get("is_imported", False)
                kinds["test"] += record.get("is_test", False)
                kinds["guest"] += record["customer_id"].startswith("guest-")
    assert kinds.keys() == {
        "MailBounced", "MailComplained", "Unsubscribed", "ProfileUpdated", "OrderPlaced", "ShipmentUpdated", "CustomerMerged",
        "CustomerRequested", "imported", "test", "guest",
    }  # fmt: skip
    assert len(order_ids) == kinds["OrderPlaced"]


def test_only_an_earlier_program_has_no_address_secret(tmp_path: Path) -> None:
    """The stacks of all other scenarios have limits of addresses."""
    for scenario in SCENARIOS:
        if not scenario.has_faulty_disk:  # its environment compiles a library
            assert ("TAKK_ADDRESS_SECRET" in environment(scenario, tmp_path / scenario.name)) == (not scenario.before)


def test_the_page_names_each_scenario_once() -> None:
    """The names of scenarios are unique, and the README describes each."""
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    described = README.read_text(encoding="utf-8").partition("<!-- results -->")[0]
    assert [name for name in names if name.partition(",")[0] not in described] == []


def test_the_campaign_takes_at_most_75_minutes() -> None:
    """The lengths of all scenarios together."""
    assert sum(scenario.seconds for scenario in SCENARIOS) <= LIMIT_S
