"""The step `send`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import get_args

import yaml

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import Purpose, is_transactional
from streams.core.rules.flow import DOCUMENTS, Flow, Send
from streams.core.rules.sending_rules import SendingRules
from streams.core.rules.trigger_names import OF_REQUESTS, is_about_order
from streams.core.values.text import nearest, similar
from streams.definitions.language import keys, recommendations, schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind, WaitsAt
from streams.definitions.language.steps.reader import StepReader
from streams.definitions.language.yaml_reader import PERCENT
from streams.definitions.problems import Problem, problem_at

SEND = Keys(
    (
        "message",
        "purpose",
        "priority",
        "expires",
        "not_before",
        "holdout",
        "products",
        "at_least",
        *recommendations.KEYS,
        "together",
        "any_hour",
        "attach",
    ),
    ("message",),
)


class SendKind(StepKind[Send]):
    """A step that sends a message."""

    step = Send
    key = "send"
    mappings = (SEND,)
    box = "send"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Send:
        """Return a send."""
        values = reader.mapping(node, *SEND)
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
        together = reader.boolean(values["together"]) if "together" in values else False
        if together:
            _check_together(reader, values)
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
            recommends=recommendations.read_recommends(reader, values, is_transactional=is_transactional(purpose)),
            together=together,
            any_hour=reader.boolean(values["any_hour"]) if "any_hour" in values else False,
            rounds=reader.rounds or (0, 0),
            attach=_read_attach(reader, values, is_transactional=is_transactional(purpose)),
        )

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        properties: dict[str, schemas.Schema] = {
            "message": {"type": "string"},
            "purpose": schemas.PURPOSE,
            "priority": schemas.number(keys.PRIORITY),
            "expires": schemas.SPAN,
            "not_before": {"type": "string", "format": "date"},
            "holdout": schemas.number(PERCENT),
            "products": schemas.number(keys.PRODUCTS),
            "at_least": schemas.number(keys.PRODUCTS),
            **recommendations.properties(),
            "together": {"type": "boolean"},
            "any_hour": {"type": "boolean"},
            "attach": {"enum": list(DOCUMENTS)},
        }
        return schemas.mapping(SEND, properties, Send)

    def text(self, step: Send, flow: Flow) -> str:
        """Return the message, and how it is sent."""
        parts = [f"send {step.message}"]
        if step.purpose != flow.purpose:
            parts.append(f"as {step.purpose}")
        parts += [f"priority {step.priority}", f"expires after {duration_text(step.expires)}"]
        if step.not_before is not None:
            parts.append(f"not before {step.not_before}")
        if step.holdout:
            parts.append(f"{step.holdout}% held out")
        if step.products:
            parts.append(f"recommends {step.at_least} to {step.products} products")
        parts += recommendations.words(step.recommends)
        if step.together:
            parts.append("together with those due on the same day")
        if step.any_hour:
            parts.append("at any hour")
        if step.attach:
            parts.append(f"with the {step.attach} attached")
        return ", ".join(parts)

    def check(self, step: Send, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield a warning if no other instance can join the email."""
        trigger = compiled.flow.trigger
        if step.together and trigger.once_per == "customer" and trigger.again_after is None:
            message = "`together` has no effect: the flow runs once per customer"
            yield problem_at(step.path, "flow.W011", message, "remove `together`")

    def waits_at(self, step: Send) -> WaitsAt:
        """Return the step itself: an email can be deferred."""
        return "step"

    def output(self, step: Send) -> str:
        """Return the message."""
        return f"message {step.message!r}"


def _read_attach(reader: StepReader, values: Mapping[str, yaml.Node], *, is_transactional: bool) -> str:
    """Return the document that the email carries, or "". Only a transactional email about one order can carry one."""
    if "attach" not in values:
        return ""
    node = values["attach"]
    if not is_transactional:
        reader.error("flow.E086", node, "only `order` and `service` emails carry documents", "write `purpose: order`")
    elif not is_about_order(reader.trigger.on):
        message = f"{reader.trigger.on} is not about an order, but documents are"
        reader.mismatch("flow.E086", node, message, "start with an order or a parcel, or remove `attach`")
    elif "together" in values:
        message = "an email about several orders cannot carry the document of one"
        reader.error("flow.E086", node, message, "remove `together` or `attach`")
    return reader.choice(node, DOCUMENTS, "document", "")


def _check_together(reader: StepReader, values: Mapping[str, yaml.Node]) -> None:
    """Note what cannot be sent together: recommended products, and emails that are about one parcel or one request."""
    if "products" in values:
        message = "`together` gives the template the products of the flow as `products`, so it excludes recommendations"
        reader.error("flow.E076", values["together"], message, "remove `products` or `together`")
    on, once_per = reader.trigger.on, reader.trigger.once_per
    if once_per == "parcel" or on in OF_REQUESTS:
        message = (
            f"an email about one {'parcel' if once_per == 'parcel' else 'request'} cannot be sent together with others"
        )
        reader.mismatch("flow.E077", values["together"], message, "remove `together`")
