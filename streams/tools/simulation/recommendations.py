"""Recommendations on the virtual clock: what the popularity agent counts and what the mailer chooses, by the same pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from streams.core.model.effects import CountSales, Effect, LogDecision, SendMail
from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.popularity import Change, Counts, Tally, sales_of, week_of
from streams.core.offers.recommendations import REQUEST_KEY, fulfil
from streams.core.sending.content import template_data

#: The rule by which the mailer holds back a mail whose wish cannot be granted.
TOO_FEW = "too_few_products"


class SimulatedRecommendations:
    """What a shop sells, and how well it sold so far, all customers counted as on one partition.

    Args:
        catalogue: the products. A compacted topic keeps no history: they are the same from the first day to the last.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.assortment = Assortment(catalogue)
        self._tallies: dict[str, Tally] = {}
        #: Products whose counts have changed since a mail was last written: nobody asks for them before.
        self._sold: set[str] = set()

    def apply(self, effects: Iterable[Effect], now: datetime) -> list[Effect]:
        """The effects as they turn out: sales counted, mails with the products that they wish for, or the decision not to send them."""
        served: list[Effect] = []
        for effect in effects:
            if isinstance(effect, CountSales):
                self.count(effect)
            elif isinstance(effect, SendMail) and effect.content.products:
                effect = self._written(effect, now)
            served.append(effect)
        return served

    def count(self, sales: CountSales) -> None:
        """Count what was bought, or no longer count it."""
        change = Change(sales.week, sales.week_before, sales.gone, sales.come, sales.is_new, sales.earlier)
        for sale in sales_of(change):
            tally = self._tallies.get(sale.sku)
            if tally is None:
                tally = self._tallies[sale.sku] = Tally(Counts(sale.sku, 0))
            tally.add(sale)
            self._sold.add(sale.sku)

    def _written(self, mail: SendMail, now: datetime) -> SendMail | LogDecision:
        for sku in self._sold:
            self.assortment.popularity.put(self._tallies[sku].counts())
        self._sold.clear()
        products = fulfil(template_data(mail.content)[REQUEST_KEY], self.assortment, week_of(now))
        if products is not None:
            return replace(mail, content=replace(mail.content, chosen=tuple(products)))
        return LogDecision(  # as the mailer's report becomes one
            decision_id=f"{mail.send_id}.1.{TOO_FEW}",
            customer_id=mail.customer_id,
            flow=mail.flow,
            flow_version=mail.flow_version,
            instance_id=mail.instance_id,
            step=mail.step,
            outcome="skip",
            rule=TOO_FEW,
            detail=TOO_FEW,
            send_id=mail.send_id,
            order_id=mail.order_id,
            decided_at=now,
        )


def suppressed_send(effect: Effect) -> str | None:
    """The send that there were too few products for, if the effect says so."""
    return effect.send_id if isinstance(effect, LogDecision) and effect.rule == TOO_FEW else None
