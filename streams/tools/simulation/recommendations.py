"""Recommendations in a simulation: counts sales and selects products with the functions that the popularity agent and the mailer use."""

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
from streams.tools.simulation.suppressions import TOO_FEW, suppressed


class SimulatedRecommendations:
    """The products of a shop and their sales so far; all customers count as one partition.

    Args:
        catalogue: the products. They do not change during the simulation, because their compacted topic keeps no history.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.assortment = Assortment(catalogue)
        self._tallies: dict[str, Tally] = {}
        #: Products whose counts changed since products were last selected; until then nothing reads their counts.
        self._sold: set[str] = set()

    def apply(self, effects: Iterable[Effect], now: datetime) -> list[Effect]:
        """Count the sales, and return the effects with products in each email; or with a decision instead of an email that has too few."""
        applied: list[Effect] = []
        for effect in effects:
            if isinstance(effect, CountSales):
                self.count(effect)
            elif isinstance(effect, SendMail) and (effect.content.products or effect.content.recommends.categories):
                effect = self._with_products(effect, now)
            applied.append(effect)
        return applied

    def count(self, sales: CountSales) -> None:
        """Count the products of a purchase, or stop counting them."""
        change = Change(sales.week, sales.week_before, sales.gone, sales.come, sales.is_new, sales.earlier)
        for sale in sales_of(change):
            tally = self._tallies.get(sale.sku)
            if tally is None:
                tally = self._tallies[sale.sku] = Tally(Counts(sale.sku, 0))
            tally.add(sale)
            self._sold.add(sale.sku)

    def _with_products(self, mail: SendMail, now: datetime) -> SendMail | LogDecision:
        for sku in self._sold:
            self.assortment.popularity.put(self._tallies[sku].counts())
        self._sold.clear()
        fulfilled = fulfil(template_data(mail.content)[REQUEST_KEY], self.assortment, week_of(now))
        if fulfilled is not None:
            products, categories = fulfilled.get("products"), fulfilled.get("categories")
            content = replace(
                mail.content,
                chosen=tuple(products) if products is not None else None,
                chosen_categories=tuple(categories) if categories is not None else None,
            )
            return replace(mail, content=content)
        return suppressed(mail, TOO_FEW, TOO_FEW, now)
