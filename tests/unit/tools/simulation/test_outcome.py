"""Simulating: histories from files, what is counted, variants of flows, and the page."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.effects import SendMail
from streams.core.model.events import OrderPlaced
from streams.core.offers.catalogue import Catalogue
from streams.tools.cli.main import main
from streams.tools.local.shop.shop import Shop
from streams.tools.simulation.history import (
    History,
    HistoryError,
    from_files,
    products_from_file,
    products_of,
    write_file,
)
from streams.tools.simulation.outcome import SimulationResult, UnknownFlow, simulate, table, with_changes
from streams.tools.simulation.report import page
from streams.tools.simulation.simulator import Simulator
from streams.wire import topics
from tests.harness import records
from tests.harness.driver import START
from tests.harness.events import TEMPLATES, order, shop_flows, shop_world
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.products import product
from tests.unit.agents.global_tables.test_assortment import DECODER, PRODUCTS, Message, view
from tests.unit.agents.global_tables.test_assortment import product as goods

DAY = timedelta(days=1)


def outcome(name: str = "as it is", **changes: Any) -> SimulationResult:
    """Three mails of two customers in three days."""
    values: dict[str, Any] = {
        "name": name, "mails": 3, "by_flow": {"f/a": 2, "g/b": 1}, "by_day": {"2026-03-02": 2, "2026-03-03": 0, "2026-03-04": 1},
        "customers": 2, "percentiles": {"p50": 1, "p90": 2, "p99": 2, "most": 2}, "not_sent": {"g skip unsubscribed": 1},
        "deferred": {"g cap": 4},
        "events": 9, "seconds": 0.5,
    }  # fmt: skip
    return SimulationResult(**(values | changes))


def bought(*customers: str) -> History:
    """Each customer buys, an hour after the other."""
    facts = [
        OrderPlaced(order(f"o{n}", START + timedelta(hours=n), customer_id=name), START + timedelta(hours=n))
        for n, name in enumerate(customers)
    ]
    return History([(fact.occurred_at, fact) for fact in facts])


def test_pools_are_never_empty() -> None:
    """Nobody knows what was in them then: each claim gets a code that is made up."""
    flow = flow_text(
        "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: ten}}, "
        "{split: [{when: reward.is_given, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]"
    )
    assert simulate(ruleset_of(flow), bought("c1", "c2"), 5).by_flow == {"f/a": 2}


def test_what_is_counted() -> None:
    """Mails by flow, day and customer, counted by hand; days without mails are days; a rule's losses are told with the flow."""
    flow = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]")
    missing = flow_text(
        "trigger: {on: order.placed, where: order.total > 9999}\nsteps: [{send: {message: c}}]", name="g"
    )
    found = simulate(ruleset_of(flow, missing), bought("c1", "c1", "c2"), 1)
    assert (found.mails, found.customers, found.by_flow) == (3, 2, {"f/a": 3})
    found = simulate(ruleset_of(flow, missing), bought("c1", "c1", "c2"), 5)
    assert found.by_flow == {"f/a": 3, "f/b": 3}
    assert found.by_day == {"2026-03-02": 3, "2026-03-03": 0, "2026-03-04": 3}
    assert found.percentiles == {"p50": 2, "p90": 4, "p99": 4, "most": 4}
    assert found.not_sent == {"g skip where": 3}
    assert found.events >= 3 + 6
    nothing = simulate(ruleset_of(flow), History([]), 5)
    assert (nothing.mails, nothing.by_day, nothing.percentiles["most"]) == (0, {}, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_count(customers: list[str], lot: Any) -> None:
    """The same facts, read in another order, give the same table: what counts is when they occurred."""
    history, mixed = bought(*customers), list(bought(*customers).events)
    lot.shuffle(mixed)
    mixed.sort(key=lambda fact: fact[0])
    assert table([simulate(shop_world(), history, 5)]) == table([simulate(shop_world(), History(mixed), 5)])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1, max_size=8))
def test_customers_one_after_the_other_are_as_all_at_once(customers: list[str]) -> None:
    """Playing each customer alone counts the mails of one clock for all of them."""
    history, mails = bought(*customers), Counter[str]()
    run = Simulator(
        shop_world(), START, on_effect=lambda effect, now: mails.update([effect.flow] * isinstance(effect, SendMail))
    )
    for at, fact in history.events:
        run.advance_to(at)
        run.handle(fact)
    run.advance(5 * DAY)
    found = simulate(shop_world(), history, 5)
    assert (found.mails, found.events, found.customers) == (mails.total(), run.decided, len(run.customers))
    by_flow: Counter[str] = Counter()
    for name, count in found.by_flow.items():
        by_flow[name.partition("/")[0]] += count
    assert by_flow == mails


def test_what_is_put_off() -> None:
    """Each time that a mail has to wait is told with its rule; a mail that went at last is no loss."""
    flow = flow_text(
        "trigger: {on: order.placed, once_per: order}\nsteps: [{send: {message: a, expires: 20d}}]", purpose="marketing"
    )
    found = simulate(ruleset_of(flow, rules="caps: [{most: 1, per: 2d}]"), bought("c1", "c1", "c2"), 9)
    assert (found.by_flow, found.deferred, found.not_sent) == ({"f/a": 3}, {"f cap": 1}, {})
    assert [line.split() for line in table([found]) if line.startswith("put off")] == [["put", "off:", "f", "cap", "1"]]


def test_variants_of_flows() -> None:
    """A draft counts as live, a flow is taken out; what there is not is told with what there is."""
    draft = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", status="draft")
    ruleset = ruleset_of(draft)
    assert simulate(ruleset, bought("c1"), 1).mails == 0
    assert simulate(ruleset.with_flows(with_changes(ruleset.flows, ["f@draft"])), bought("c1"), 1).mails == 1
    without = with_changes(shop_flows(), ["review@off"])
    assert {flow.name for flow in shop_flows()} - {flow.name for flow in without} == {"review"}
    for change, words in (
        ("nothing@off", "known: order-confirmation, review"),
        ("review@draft", "it is live"),
        ("review", "review@draft"),
    ):
        with pytest.raises(UnknownFlow, match=words):
            with_changes(shop_flows(), [change])


def test_long_names_of_variants_keep_their_columns() -> None:
    """Whatever the variants are called, each number stands below its name."""
    lines = table([outcome(), outcome("review@off thank-you@off goes-well-with@off"), outcome("t")])
    assert {len(line) for line in lines} == {len(lines[0])}


def test_two_variants_are_compared() -> None:
    """Every line has the difference, those too that only one of them has."""
    other = outcome("without g", mails=2, by_flow={"f/a": 2}, not_sent={})
    lines = table([outcome(), other])
    assert lines[0].split() == ["as", "it", "is", "without", "g", "difference"]
    assert next(line for line in lines if line.startswith("mails ")).split() == ["mails", "3", "2", "-1"]
    assert next(line for line in lines if "g/b" in line).split()[-3:] == ["1", "0", "-1"]


def history_files(folder: Path, facts: int = 4_000) -> list[Path]:
    """Files of what the simulated shop does."""
    told: dict[str, list[Any]] = {}
    for number, fact in enumerate(Shop(7, 0.002, 86_400.0).facts(START, 60 * 86_400.0)):
        told.setdefault(fact.topic, []).append(fact.record)
        if number == facts:
            break
    for topic, rows in told.items():
        write_file(folder / f"{topic}.avro", topic, rows)
    return sorted(folder.glob("*.avro"))


def test_a_history_from_files(tmp_path: Path) -> None:
    """Files of each kind become facts in the order of time; what breaks a rule is counted and not fatal."""
    write_file(
        tmp_path / "orders.avro", topics.ORDERS, [records.order(customer_id="c2"), records.order(currency="kroner")]
    )
    write_file(tmp_path / "shipments.avro", topics.SHIPMENTS, [records.shipment(), records.shipment(customer_id="")])
    found = from_files(sorted(tmp_path.glob("*.avro")))
    assert [at for at, _ in found.events] == sorted(at for at, _ in found.events)
    assert len(found.events) == 2
    assert found.invalid == {"bad_currency": 1, "no_customer": 1}


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no Avro container file"), (b"not avro at all", "no Avro container file")]
)
def test_a_file_that_is_no_history(tmp_path: Path, content: bytes, words: str) -> None:
    """It is named, with what would be right."""
    path = tmp_path / "orders.avro"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=words) as caught:
        from_files([path])
    assert str(path) in str(caught.value)
    with pytest.raises(HistoryError, match=r"gone\.avro"):
        from_files([tmp_path / "gone.avro"])
    write_file(path, topics.DECISIONS, [])
    with pytest.raises(HistoryError, match="records of FlowDecision; a history is of"):
        from_files([path])


def test_a_damaged_file_is_no_traceback(tmp_path: Path) -> None:
    """Cut off anywhere, or with a byte changed anywhere in its head and its data, a file is read or named with what is wrong, nothing else."""
    path, damaged = tmp_path / "orders.avro", tmp_path / "damaged.avro"
    write_file(path, topics.ORDERS, [records.order(order_id=f"o{number}") for number in range(50)])
    whole = path.read_bytes()
    cut = [whole[:end] for end in range(0, len(whole) - 1, 97)]
    changed = [whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :] for at in range(0, len(whole), 41)]
    for content in [*cut, *changed]:
        damaged.write_bytes(content)
        for read in (from_files, lambda paths: products_from_file(*paths)):
            with suppress(HistoryError):
                read([damaged])
    damaged.write_bytes(whole[:-100])
    with pytest.raises(HistoryError, match="is it whole"):
        from_files([damaged])


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """One that is not there, or is a folder, is not called a broken one."""
    for path, words in ((tmp_path / "gone.avro", "No such file"), (tmp_path, "Is a directory")):
        for read in (from_files, lambda paths: products_from_file(*paths)):
            with pytest.raises(HistoryError, match=rf"{path}: cannot be read: {words}"):
                read([path])


def products_file(folder: Path, *records: dict[str, Any]) -> Path:
    """A file of products."""
    path = folder / "products.avro"
    known = {"category": "c", "unit_price_minor": 100, "currency": "DKK", "updated_at": START, "title": "T"}
    write_file(path, topics.PRODUCTS, [known | one for one in records])
    return path


def test_products_from_a_file(tmp_path: Path) -> None:
    """The last record of a product counts; one that breaks a rule takes out what it replaces, and is counted."""
    path = products_file(
        tmp_path,
        {"sku": "a"},
        {"sku": "b"},
        {"sku": "a", "title": "New"},
        {"sku": "b", "currency": "kroner"},
        {"sku": ""},
    )
    catalogue, broken = products_from_file(path)
    assert [(one.sku, one.title) for one in catalogue] == [("a", "New")]
    assert broken == {"bad_currency": 1, "bad_id": 1}
    write_file(path, topics.ORDERS, [records.order()])
    with pytest.raises(HistoryError, match="records of Order; products are of Product"):
        products_from_file(path)
    path.write_bytes(b"not avro at all")
    with pytest.raises(HistoryError, match="no Avro container file"):
        products_from_file(path)


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        ["null", "string"],
        {"type": "record", "name": "Product", "fields": [{"name": "sku", "type": "string"}]},
        {"type": "record", "name": "Order", "fields": [{"name": "customer_id", "type": "string"}]},
    ],
)
def test_files_of_other_schemas(tmp_path: Path, schema: Any) -> None:
    """Avro, but of no record that Takk reads, or of one without what it needs: told with the file, not as a traceback."""
    path = tmp_path / "other.avro"
    record = {"sku": "a", "customer_id": "c1"} if isinstance(schema, dict) else "a"
    with path.open("wb") as file:
        fastavro.writer(file, schema, [record])
    with pytest.raises(HistoryError, match=r"other\.avro: "):
        products_from_file(path)
    with pytest.raises(HistoryError, match=r"other\.avro: "):
        from_files([path])


def test_the_name_of_a_schema_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in it are shown, not obeyed."""
    path = tmp_path / "other.avro"
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "\x1b[31mRed", "fields": []}, [{}])
    with pytest.raises(HistoryError, match="Red") as caught:
        from_files([path])
    assert "\x1b" not in str(caught.value)


def test_products_from_the_topic_are_those_of_the_mailer() -> None:
    """New, changed, taken out, broken, under another's key: the same products are left as in the mailer's own view."""
    messages = [
        goods("a", 0), goods("b", 1), goods("c", 2), goods("d", 3), goods("a", 4, title="New"), Message(PRODUCTS, 5, b"b"),
        goods("c", 6, currency="kroner"), goods("x", 7, key=b"d"), Message(PRODUCTS, 8, b"e", b"no record"), Message(PRODUCTS, 9),
        goods("f", 10, key=b"\xff"),
    ]  # fmt: skip
    catalogue, broken = products_of(DECODER, messages)
    mailers = view()
    mailers.apply(messages)
    assert list(catalogue) == list(mailers.assortment.catalogue)
    assert [(one.sku, one.title) for one in catalogue] == [("a", "New")]
    assert broken == {"bad_currency": 1, "bad_id": 2, "not_avro": 1}


def test_progress_of_reading_is_told(tmp_path: Path) -> None:
    """Every 5,000 records, in bytes of their file."""
    path = tmp_path / "orders.avro"
    write_file(path, topics.ORDERS, [records.order()] * 10_001)
    told: list[tuple[int, int]] = []
    from_files([path], on_progress=lambda done, total: told.append((done, total)))
    (half, size), (most, _) = told
    assert 0 < half < most <= size == path.stat().st_size


@pytest.mark.parametrize("catalogue", [None, Catalogue()])
def test_progress_is_told(catalogue: Catalogue | None) -> None:
    """Every 5,000 facts, whether customers are played one after the other or, since what sells is counted, all at once."""
    flow = flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a, products: 2}}]", purpose="marketing")
    history = bought(*[f"c{number}" for number in range(10_001)])
    told: list[tuple[int, int]] = []
    simulate(
        ruleset_of(flow), history, 0, catalogue=catalogue, on_progress=lambda done, total: told.append((done, total))
    )
    assert told == [(5_000, 10_001), (10_000, 10_001)]


def test_mails_without_products_are_told() -> None:
    """With a catalogue a mail that the mailer would hold back is not sent, and its rule is told; without one it counts as sent."""
    flow = flow_text(
        "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 2}}]", purpose="marketing"
    )
    for catalogue, mails, not_sent in (
        (None, 2, {}),
        (Catalogue(), 0, {"f skip too_few_products": 2}),
        (Catalogue([product("s2"), product("s1", complements=("s3",)), product("s3")]), 2, {}),
    ):
        found = simulate(ruleset_of(flow), bought("c1", "c2"), 3, catalogue=catalogue)
        assert (found.mails, found.not_sent) == (mails, not_sent)


class Page(HTMLParser):
    """Notes the tags of a page, and whether each that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_runs_nothing() -> None:
    """Names from outside are words; there is a plot and a table for each question, no script, and no address of elsewhere."""
    evil = '<script>alert(1)</script>"&'
    text = page([outcome(evil, by_flow={evil: 1}, not_sent={evil: 2}, deferred={evil: 3}), outcome("other")])
    found = Page(text)
    assert found.open == []
    assert "script" not in found.tags
    assert found.tags.count("svg") == 5
    assert found.tags.count("table") == 5
    assert "http" not in text
    assert Page(page([outcome(by_day={}, by_flow={}, not_sent={}, deferred={}, mails=0)])).open == []


def test_the_page_is_read_at_any_width_and_by_ear() -> None:
    """Pictures have a name and are not scaled, so that their letters are as large on a phone; a table's heads say what they are heads of."""
    text = page([outcome(), outcome("other")])
    assert "viewBox" not in text
    assert 'aria-label="Mails a day"' in text
    assert "2 mails" in text  # at the top of the columns: what they count
    assert '<th scope="col">other</th>' in text
    assert '<th scope="row">f/a</th>' in text


def test_each_variant_has_a_colour_of_its_own() -> None:
    """As it is, with changes, and another folder: three at most."""
    text = page([outcome("a"), outcome("b"), outcome("c")])
    assert all(f"k{number}" in text and f'class="s{number}"' in text for number in range(3))


def test_the_command(tmp_path: Path) -> None:
    """A table with the difference of a variant, a page, JSON; mistakes are told without a stack of calls."""
    sources = [word for path in history_files(tmp_path) for word in ("--from", str(path))]
    html = tmp_path / "report.html"
    done = CliRunner().invoke(
        main, ["simulate", *sources, "--flow", "review@off", "--html", str(html), "--templates", str(TEMPLATES)]
    )
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines() if line.startswith("sent: review/ask-first-time"))
    assert int(line.split()[-1].replace(",", "")) < 0
    assert "events in" in done.output
    assert Page(html.read_text()).open == []
    path = products_file(tmp_path, {"sku": "a", "is_available": False}, {"sku": ""})
    done = CliRunner().invoke(
        main, ["simulate", *sources, "--products", str(path), "--templates", str(TEMPLATES), "--days", "60"]
    )
    assert done.exit_code == 0, done.output
    assert "not sent: goes-well-with skip too_few_products" in done.output
    assert "sent: goes-well-with/products" not in done.output
    assert "skipped 1 invalid record: bad_id" in done.output
    path.unlink()
    done = CliRunner().invoke(main, ["simulate", *sources, "--json"])
    (found,) = json.loads(done.stdout)["outcomes"]
    assert found["mails"] == sum(found["by_flow"].values()) > 0
    keys = "name mails by_flow by_day customers percentiles losses put_off events seconds"  # scripts of shops read them
    assert list(found) == keys.split()
    for words, said, code in (
        (["--from", "gone.avro"], "gone.avro", 1),
        ([*sources, "--flow", "x@off"], "there is no flow 'x'", 1),
        ([*sources, "--from", "topic"], "cannot be combined with files", 2),
    ):
        done = CliRunner().invoke(main, ["simulate", *words])
        assert done.exit_code == code
        assert said in done.output


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told before the history is read and played, not after; a page that was there before stays until there is a new one."""
    page_file = tmp_path / "no" / "where.html"
    done = CliRunner().invoke(main, ["simulate", "--from", "gone.avro", "--html", str(page_file)])
    assert (done.exit_code, f"cannot write {page_file}: No such file or directory" in done.output) == (1, True)
    page_file = tmp_path / "here.html"
    page_file.write_text("older")
    done = CliRunner().invoke(main, ["simulate", "--from", "gone.avro", "--html", str(page_file)])
    assert "gone.avro" in done.output
    assert page_file.read_text() == "older"
