"""The objects of templates that differ from Jinja's: functions of Takk, namespaces, open maps, and templates that are imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, Template, TemplateNotFound
from jinja2.environment import TemplateModule
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.utils import Namespace, missing


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


class LateValue:
    """A variable whose value is computed when a template or a text names it.

    Args:
        compute: returns the value.
    """

    __slots__ = ("compute",)

    def __init__(self, compute: Callable[[], Any]) -> None:
        self.compute = compute


class EmailContext(Context):
    """A context that does not note the names of the globals: only the default modules of Jinja need them, and no email has one."""

    globals_keys: Any = frozenset()

    def __init__(
        self, environment: Environment, parent: dict[str, Any], name: str | None, blocks: Any, globals: Any = None
    ) -> None:
        # Jinja's own method does the same and more. An email has ten contexts.
        self.parent = parent
        self.vars = {}
        self.environment = environment
        self.eval_ctx = EvalContext(environment, name)
        self.exported_vars = set()
        self.name = name
        self.blocks = {block: [function] for block, function in blocks.items()} if blocks else {}

    def resolve_or_missing(self, key: str) -> Any:
        """Return a variable, or `missing`."""
        value = self.vars[key] if key in self.vars else self.parent.get(key, missing)
        return value.compute() if type(value) is LateValue else value

    def include(self, names: Any, parent: str | None, scope: Mapping[str, Any] | None, is_optional: bool) -> str:
        """Return the text of a template that the present one includes.

        Args:
            names: its name, or the names of which the first one that exists is included.
            parent: the name of the present template.
            scope: the local variables, or None for a template without context.
            is_optional: whether it may be missing.

        Raises:
            TemplateNotFound: it is missing.
        """
        environment = self.environment
        try:
            template = environment.get_or_select_template(names, parent)
        except TemplateNotFound:
            if is_optional:
                return ""
            raise
        if scope is None:
            return str(template.make_module())
        return environment.concat(template.root_render_func(template.new_context(self.get_all(), True, scope)))


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
