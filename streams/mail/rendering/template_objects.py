"""The objects of templates that differ from Jinja's: functions of Takk, namespaces, open maps, and templates that are imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, Template
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from jinja2.utils import Namespace


class TemplateFunction:
    """A function of Takk that templates may call with a text. The sandbox does not check its result."""

    __slots__ = ()

    def __call__(self, key: str) -> str:
        """Return the result."""
        raise NotImplementedError


class EmailNamespace(Namespace):
    """A namespace whose text is short: namespaces may contain each other."""

    def __repr__(self) -> str:
        return "<Namespace>"


class EmailTemplate(Template):
    """A template that each `import` renders again.

    Jinja keeps its module, with the namespaces in it: a macro could write the data of one email into the next.
    """

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        return self.make_module()


class EmailContext(Context):
    """A context that does not note the names of the globals: only the default modules of Jinja need them, and no email has one."""

    def __init__(
        self, environment: Environment, parent: dict[str, Any], name: str | None, blocks: Any, globals: Any = None
    ) -> None:
        super().__init__(environment, parent, name, blocks)


#: The maps in the data of a customer whose names the shop chooses.
OPEN = ("attributes", "fields", "dates")


class OpenMap(dict[str, Any]):
    """The attributes, fields or dates of a customer: an unknown one is an empty text, since no customer has all of them."""

    def __missing__(self, name: object) -> str:
        return ""


def with_open_maps(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of an email with an `OpenMap` for each of `OPEN`."""
    customer = context.get("customer")
    if not isinstance(customer, dict):
        return context
    opened = {name: OpenMap(known) for name in OPEN if isinstance(known := customer.get(name), dict)}
    return {**context, "customer": {**customer, **opened}} if opened else context
