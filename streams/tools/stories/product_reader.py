"""Reads the products of the stories, with every problem at its line and column."""

from __future__ import annotations

import re

import yaml

from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem
from streams.tools.stories.story import StoryProduct

#: The most Danish kroner that a product may cost.
MOST_PRICE = 100_000
_PRODUCT = ("sku", "title", "category", "price", "complements", "picture", "lasts_days")
_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


def parse_products(text: str) -> tuple[StoryProduct, ...] | list[Problem]:
    """Return the products in the text of a file, or its problems."""
    return read_yaml(text, _ProductReader(), _ProductReader.products)


class _ProductReader(Reader):
    """Reads `products.yaml`."""

    def products(self, root: yaml.Node | None) -> tuple[StoryProduct, ...]:
        return tuple([self.product(node) for node in self.items(root or empty("products"), "products")])

    def product(self, node: yaml.Node) -> StoryProduct:
        values = self.mapping(node, _PRODUCT, ("sku", "title", "price"))
        titles: dict[str, str] = {}
        if "title" in values:
            title = values["title"]
            if isinstance(title, yaml.MappingNode):
                titles = {name: self.filled(value) for _, name, value in self.pairs(title, "{en: Boots}")}
            else:
                titles = {"": self.filled(title)}
        complements = self.items(values["complements"], "products") if "complements" in values else []
        return StoryProduct(
            sku=self.filled(values["sku"]) if "sku" in values else "",
            titles=titles,
            price=self.number(values["price"], 1, MOST_PRICE) if "price" in values else 1,
            category=self.filled(values["category"]) if "category" in values else "things",
            complements=tuple([self.filled(each) for each in complements]),
            picture=self.picture(values["picture"]) if "picture" in values else "",
            lasts_days=self.number(values["lasts_days"], 1, 3_650) if "lasts_days" in values else None,
        )

    def picture(self, node: yaml.Node) -> str:
        name = self.text(node)
        if not _PICTURE.match(name):
            hint = "use the name of a file in shared/pictures without its ending"
            self.error("story.E005", node, f"invalid name of a picture {name!r}", hint)
        return name
