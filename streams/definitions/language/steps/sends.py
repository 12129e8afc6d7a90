"""The reader of sends."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import yaml

from streams.core.rules.consent_policy import Purpose, is_transactional
from streams.core.rules.flow import Send
from streams.core.values.text import nearest, similar
from streams.definitions.language import keys
from streams.definitions.language.recommendations import read_recommends
from streams.definitions.language.steps.reader import StepReader


def read_send(reader: StepReader, node: yaml.Node, path: str) -> Send:
    """Return a send."""
    values = reader.mapping(node, *keys.SEND)
    message = reader.text(values["message"]) if "message" in values else ""
    if "message" in values and message not in reader.messages:
        meant = similar(message, reader.messages)
        hint = f"{nearest(message, reader.messages)}{' If not,' if meant else '; or'} add {message}.html.j2"
        reader.error("flow.E039", values["message"], f"unknown message {message!r}", hint)
    purpose: str = reader.purpose
    if "purpose" in values:
        purpose = reader.choice(values["purpose"], get_args(Purpose), "purpose", reader.purpose)
    if is_transactional(reader.purpose) and not is_transactional(purpose):
        message = f"a transactional flow cannot send {purpose} emails"
        reader.error("flow.E040", values["purpose"], message, "send it from another flow")
    if "holdout" in values and is_transactional(purpose):
        reader.no_holdout(values["holdout"])
    if "products" in values and is_transactional(purpose):
        message = "transactional emails cannot recommend products"
        reader.error("flow.E041", values["products"], message, "send them from another flow")
    products = reader.number(values["products"], *keys.PRODUCTS) if "products" in values else 0
    at_least = reader.number(values["at_least"], *keys.PRODUCTS) if "at_least" in values else min(products, 1)
    if "at_least" in values and at_least > products:
        message = (
            f"`at_least` is {at_least}, but `products` is {products}" if products else "`at_least` needs `products`"
        )
        reader.error("flow.E042", values["at_least"], message, f"write `products: {at_least}` or more")
    return Send(
        path=path,
        message=message,
        purpose=purpose,  # type: ignore[arg-type]  # choice gives one of the literals
        priority=reader.number(values["priority"], *keys.PRIORITY) if "priority" in values else 50,
        expires=reader.duration(values["expires"]) if "expires" in values else timedelta(days=5),
        not_before=reader.date(values["not_before"]) if "not_before" in values else None,
        holdout=reader.percent(values["holdout"]) if "holdout" in values else 0,
        products=products,
        at_least=at_least,
        recommends=read_recommends(reader, values, is_transactional=is_transactional(purpose)),
    )
