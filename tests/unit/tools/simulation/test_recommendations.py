"""Recommendations in a simulation: counted like in the popularity agent, selected and reported like in the mailer."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.effects import CountSales, LogDecision, SendMail
from streams.core.model.events import OrderCancelled, OrderLine, OrderPlaced
from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.popularity import Change, Counts, Tally, sales_of, week_of
from streams.core.offers.recommendations import REQUEST_KEY, fulfil
from streams.core.sending.content import template_data
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.codec import CODEC
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.examples import examples
from tests.harness.flow_texts import DAY, flow_text, ruleset_of, sent
from tests.harness.mailer_setup import mailer_setup
from tests.harness.products import product

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
FLOW = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 3, at_least: 2}}, {wait: 1d}, {send: {message: b}}]"
RULESET = ruleset_of(flow_text(FLOW, purpose="marketing"))
LAMP = product("lamp", "light", complements=("bulb",))


def buy(run: Driver, order_id: str, *skus: str, customer: str = "c1") -> None:
    """The customer buys one of each product, of category `light`, now."""
    lines = tuple([OrderLine(sku, sku, "light", 1, 100) for sku in skus])
    run.handle(OrderPlaced(order(order_id, run.now, customer_id=customer, lines=lines), run.now))


def test_products_are_recommended() -> None:
    """The email has the products that the mailer would select: complements, then products of the category that sell; it counts as sent."""
    run = Driver(
        RULESET, catalogue=Catalogue((LAMP, product("bulb"), product("torch", "light"), product("candle", "light")))
    )
    buy(run, "o1", "torch", customer="c2")
    buy(run, "o2", "lamp")
    run.advance(3 * DAY)
    mail = run.mails("c1")[0]
    assert [(one["sku"], one["reason"]) for one in template_data(mail.content)["products"]] == [
        ("bulb", "complement"),
        ("torch", "category"),
    ]
    assert [one.outcome for one in run.customers["c1"].sends] == ["sent", "sent"]
    assert run.messages("c1") == ["a", "b"]


async def test_an_email_without_products_is_reported_like_the_mailer_does() -> None:
    """Outcome, rule and decision are byte for byte those of the mailer; the flow continues without a send."""
    run, blind = Driver(RULESET, catalogue=Catalogue((LAMP, product("bulb")))), Driver(RULESET)
    for one in (run, blind):
        buy(one, "o1", "lamp")
        one.advance(timedelta(days=1.5))
    assert (run.mails(), sent(run), blind.messages()) == ([], [("a", 1)], ["a"])
    (decision,) = [one for one in run.effects if isinstance(one, LogDecision) and one.outcome == "skip"]
    (mail,) = blind.mails()
    _, _, value, _ = ENCODER.effects.encode(mail, START + DAY)
    assert value is not None
    assert run.recommendations is not None
    async with mailer_setup() as setup:
        setup.now = START + DAY
        setup.assortment.set_result(run.recommendations.assortment)
        (report,) = (await setup.deliver((DECODER.command(value), "send"))).values()
    assert (report.outcome, report.rule) == ("suppressed", decision.rule)
    assert ENCODER.reports.mail_decision(
        report.command, "skip", report.rule, report.text or report.rule, decision.decided_at
    ) == ENCODER.effects.encode(decision, decision.decided_at)
    assert [one.outcome for one in run.customers["c1"].sends] == [report.outcome]
    assert (run.customers["c1"].last_send_at, blind.customers["c1"].last_send_at) == (None, START + DAY)
    run.advance(2 * DAY)
    assert run.messages() == ["b"]


def test_without_a_catalogue_every_email_is_sent() -> None:
    """Without a catalogue no products are selected; without reports neither, because the mailer selects them."""
    run = Driver(RULESET)
    buy(run, "o1", "lamp")
    run.advance(DAY)
    assert run.recommendations is None
    assert "products" not in template_data(run.mails()[0].content)
    silent = Driver(RULESET, is_reporting=False, catalogue=Catalogue())
    buy(silent, "o1", "lamp")
    silent.advance(DAY)
    assert silent.messages() == ["a"]


skus = st.lists(st.sampled_from(["lamp", "bulb", "torch", "candle"]), min_size=1, max_size=3, unique=True)
orders = st.tuples(st.sampled_from(["c1", "c2", "c3"]), skus, st.integers(0, 9), st.booleans())


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(orders, min_size=1, max_size=10))
def test_products_follow_from_the_counts(bought: list[tuple[str, list[str], int, bool]]) -> None:
    """Every email has the products that `fulfil` selects by the counts of all sales before it; without enough, it is not sent."""
    catalogue = Catalogue((LAMP, product("bulb"), product("torch", "light"), product("candle", "light")))
    run, blind = Driver(RULESET, catalogue=catalogue), Driver(RULESET)
    for number, (customer, names, days, is_cancelled) in enumerate(bought):
        for one in (run, blind):
            buy(one, f"o{number}", *names, customer=customer)
            if is_cancelled:
                one.handle(OrderCancelled(order(f"o{number}", one.now, customer_id=customer, lines=()), one.now + DAY))
            one.advance(days * DAY)
    products = {mail.send_id: template_data(mail.content)["products"] for mail in run.mails() if mail.message == "a"}
    tallies: dict[str, Tally] = {}
    at = {
        one.send_id: one.decided_at for one in blind.effects if isinstance(one, LogDecision) and one.outcome == "send"
    }
    for effect in blind.effects:
        if isinstance(effect, CountSales):
            for sale in sales_of(
                Change(effect.week, effect.week_before, effect.gone, effect.come, effect.is_new, effect.earlier)
            ):
                tallies.setdefault(sale.sku, Tally(Counts(sale.sku, 7))).add(sale)
        elif isinstance(effect, SendMail) and REQUEST_KEY in template_data(effect.content):
            assortment = Assortment(catalogue)
            for tally in tallies.values():
                assortment.popularity.put(tally.counts())
            found = fulfil(template_data(effect.content)[REQUEST_KEY], assortment, week_of(at[effect.send_id]))
            assert products.get(effect.send_id) == (found["products"] if found is not None else None)
