"""The choice of recommendations in a `send`: the sources of the products, their category, and categories instead of products."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Source: TypeAlias = Literal[
    "complements", "newer", "same_categories", "also_bought", "favourites", "browsed", "bestsellers"
]
#: The sources of a `send` that names none, the first one first.
DEFAULT_SOURCES: tuple[Source, ...] = ("complements", "newer", "same_categories", "also_bought")
#: The favourite categories of a customer that count.
MOST_FAVOURITES = 3


class Recommends(Struct, frozen=True, kw_only=True):
    """How an email chooses products.

    Attributes:
        sources: where they come from, the first one first; empty for `DEFAULT_SOURCES`.
        category: the only category that they may have; "" for any.
        categories: how many categories the email recommends.
    """

    sources: tuple[Source, ...] = ()
    category: str = ""
    categories: int = 0

    @property
    def reads_purchases(self) -> bool:
        """Whether the favourite categories of the customer matter."""
        return "favourites" in self.sources or self.categories > 0


#: An email that chooses products as every email did before there was a choice.
USUAL = Recommends()
