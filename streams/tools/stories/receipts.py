"""The products of the invented shop of a story, in the language and the currency of the customer, and the amounts of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.tools.stories.story import COUNTRIES, Story

SHOP_URL = "https://shop.example"
#: The sum of the lines from which a delivery is free, in Danish kroner.
FREE_FROM = 1_000


class Receipts:
    """The products and prices of a story.

    Args:
        story: the story.
        language: the language that the customer reads.
    """

    def __init__(self, story: Story, language: str) -> None:
        self.story, self.language = story, language
        self._place = COUNTRIES[story.customer.country]
        #: Prices that the shop has changed, in Danish kroner, by sku.
        self._prices: dict[str, int] = {}

    def set_price(self, sku: str, price: int) -> None:
        """Change the price of a product, in Danish kroner."""
        self._prices[sku] = price

    def price_minor(self, sku: str) -> int:
        """Return the price of a product now, in minor units of the customer's currency."""
        return self._amount(self._prices.get(sku, self.story.products[sku].price))

    def full_price_minor(self, sku: str) -> int | None:
        """Return the price before a reduction, in minor units of the customer's currency; None if the product is not reduced."""
        price = self.story.products[sku].price
        return self._amount(price) if self._prices.get(sku, price) < price else None

    @property
    def currency(self) -> str:
        """The currency in which the customer pays."""
        return self._place.currency

    def title(self, sku: str) -> str:
        """Return the title of a product as the customer reads it."""
        return self.story.products[sku].title(self.language)

    def picture(self, sku: str) -> str:
        """Return the address of the picture of a product."""
        return f"{SHOP_URL}/pictures/{self.story.products[sku].picture or sku.lower()}.png"

    def set_lines(self, order: dict[str, Any], lines: Mapping[str, int], percent: int = 0, code: str = "") -> None:
        """Set the lines of an order, and the amounts that follow from them. They add up as `schemas/order.avsc` says."""
        rate = self._place.tax_rate
        shown = []
        for sku, quantity in lines.items():
            product, unit = self.story.products[sku], self.price_minor(sku)
            line: dict[str, Any] = {
                "sku": sku,
                "title": product.title(self.language),
                "category": product.category,
                "quantity": quantity,
                "unit_price_minor": unit,
                "total_minor": unit * quantity,
                "tax_rate": rate,
                "tax_minor": _tax(unit * quantity, rate),
                "image_url": self.picture(sku),
                "product_url": f"{SHOP_URL}/{sku.lower()}",
                "kind": "product",
            }
            if product.lasts_days is not None:
                line["lasts_days"] = product.lasts_days
            shown.append(line)
        subtotal = sum(line["total_minor"] for line in shown)
        discount = subtotal * percent // 100
        shipping = 0 if subtotal >= self._amount(FREE_FROM) else self._amount(self._place.shipping)
        total = subtotal - discount + shipping
        tax = _tax(total, rate)
        order |= {
            "lines": shown,
            "subtotal_minor": subtotal,
            "shipping_minor": shipping,
            "discounts": [{"code": code, "title": "", "amount_minor": discount}] if discount else [],
            "discount_minor": discount,
            "taxes": [{"title": self._place.tax, "tax_rate": rate, "amount_minor": tax}],
            "tax_minor": tax,
            "prices_include_tax": True,
            "total_minor": total,
        }

    def _amount(self, kroner: int) -> int:
        """Return an amount of Danish kroner in minor units of the customer's currency, rounded to a whole unit."""
        return max(1, round(kroner * self._place.rate)) * 100


def _tax(gross_minor: int, rate: int) -> int:
    """Return the tax within an amount; `rate` is in thousandths of a percent."""
    return round(gross_minor * rate / (100_000 + rate))
