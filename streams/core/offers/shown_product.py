"""The product that an email is about, completed with what the catalogue says of it."""

from __future__ import annotations

from typing import Any

from streams.core.offers.catalogue import Catalogue

#: The keys of an email's template data at which its product is, and the products of emails that are sent together.
PRODUCT_KEY, PRODUCTS_KEY = "product", "products"


def completed(context: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the products of an email with what is unknown of them and the catalogue has: name, category, page and image.

    Args:
        context: the data of the email. It may be anything in JSON.
        catalogue: the products.
    """
    found: dict[str, Any] = {}
    if PRODUCT_KEY in context:
        found[PRODUCT_KEY] = _with_catalogue(context[PRODUCT_KEY], catalogue)
    if isinstance(products := context.get(PRODUCTS_KEY), list):
        found[PRODUCTS_KEY] = [_with_catalogue(product, catalogue) for product in products]
    return found


def _with_catalogue(product: Any, catalogue: Catalogue) -> Any:
    if not isinstance(product, dict) or not isinstance(sku := product.get("sku"), str):
        return product
    known = catalogue.get(sku)
    if known is None:
        return product
    title = product.get("title")
    return {
        **product,
        "title": known.title or title if title in ("", None, sku) else title,
        "category": product.get("category") or known.category,
        "url": product.get("url") or known.url or None,
        "image_url": product.get("image_url") or known.image_url or None,
    }
