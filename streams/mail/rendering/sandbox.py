"""The sandbox of templates: a template can neither reach the program nor cost much time or memory, whatever is written in it.

Each rendering has a budget of steps (calls, filters, operations, passes of loops) and of characters. Every value that a template makes has
a bounded size, so each step costs little. `_generate` adds a step to each body of the compiled template. The characters of a text are
counted before its parts are joined, and those of a long value also when it is written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import TemplateSyntaxError, nodes, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from streams.mail.rendering.template_code import CountingCodeGenerator
from streams.mail.rendering.template_limits import (
    CHARS_PER_FILTER,
    CHARS_PER_STEP,
    MAX_ARGUMENT,
    MAX_BITS,
    Budget,
    LimitExceeded,
    check_arguments,
    check_format,
    check_join,
    check_product,
    check_replace,
    check_size,
    check_slow,
    text_of,
)
from streams.mail.rendering.template_names import CHEAP_FILTERS, COMPARING_TESTS, METHODS, REMOVED
from streams.mail.rendering.template_objects import (
    EmailContext,
    EmailNamespace,
    EmailTemplate,
    OpenMap,
    TemplateFunction,
)
from streams.mail.rendering.template_tree import (
    COMPARED,
    CONCAT,
    COUNTED,
    MAX_SOURCE,
    SIZED,
    STRIPTAGS,
    UNREADABLE,
    check_depth,
    with_limits,
)
from streams.mail.rendering.template_writers import writers

#: The arguments that compiled templates add to each call.
_SCOPES = ("_loop_vars", "_block_vars")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits, in which `order.lines` first looks for the key `lines` of a dictionary.

    Jinja looks for an attribute first and catches its error, which is slow for the hundred fields of an email. It would also prefer the
    method `items` to a field of that name. A name that the dictionary lacks is resolved and checked by Jinja's sandbox.

    It renders one email at a time.
    """

    code_generator_class = CountingCodeGenerator
    template_class = EmailTemplate
    context_class = EmailContext
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, optimized=False)
        #: The budget of the present rendering.
        self.budget = Budget()
        #: The functions that compiled templates call: see `template_code.py`.
        self.writers = writers(self.budget)
        for name in REMOVED:
            self.globals.pop(name, None)
        self.globals |= {"range": self._range, "namespace": EmailNamespace}
        for name, function in list(self.filters.items()):
            self.filters[name] = self._guarded(name, function)
        self.tests |= {name: self._guarded_test(self.tests[name]) for name in COMPARING_TESTS}
        self.filters |= {
            COMPARED: self._compared,
            STRIPTAGS: self._striptags,
            COUNTED: self._counted,
            SIZED: self.budget.sized,
            CONCAT: self._concat,
        }

    def start(self) -> None:
        """Begin a rendering: the budget is whole again."""
        self.budget.renew()

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"a template of more than {MAX_SOURCE:,} characters", 1, name, filename)
        try:
            tree = super()._parse(source, name, filename)
        except (RecursionError, MemoryError, ValueError, OverflowError) as error:
            raise TemplateSyntaxError(UNREADABLE[isinstance(error, ValueError)], 1, name, filename) from None
        check_depth(tree, name, filename)
        return tree

    def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
        try:
            return super()._generate(with_limits(source), *args, **options)
        except RecursionError:
            raise TemplateSyntaxError(UNREADABLE[False], 1) from None

    def _compile(self, source: str, filename: str) -> Any:
        try:
            return super()._compile(source, filename)
        except (RecursionError, MemoryError, SyntaxError, ValueError):
            # Python has limits too, for example twenty loops within each other.
            raise TemplateSyntaxError(UNREADABLE[False], 1) from None

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the value of `obj.attribute` in a template."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if type(obj) is OpenMap:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_with_text(self, context: Context, function: Any, key: Any) -> Any:
        """Call a function of a template, most likely `t`, within the limits."""
        if isinstance(function, TemplateFunction):
            self.budget.step()
            return function(key)
        return self.call(context, function, key)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of a template within the limits."""
        __self.budget.step()
        if isinstance(__obj, TemplateFunction):
            return __obj(*args, **{name: kwargs[name] for name in kwargs if name not in _SCOPES})
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str | bytes | int | float):
            args = tuple(__self._metered(arg) if hasattr(arg, "__next__") else arg for arg in args)
            if getattr(__obj, "__name__", "") == "join":
                args = tuple(list(arg) if hasattr(arg, "__next__") else arg for arg in args)
            __self._check_method(owner, str(getattr(__obj, "__name__", "")), (*args, *kwargs.values()))
        elif isinstance(owner, list | tuple | range):
            __self.budget.step(len(owner) + __self.budget.charge(owner))
        elif isinstance(__obj, LoopContext) and args and hasattr(args[0], "__len__"):
            __self.budget.step(len(args[0]))
        return __self._checked(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute `left operator right` within the limits."""
        self.budget.step()
        if operator in ("*", "**"):
            check_product(operator, left, right)
        elif operator == "%" and isinstance(left, str | bytes):
            check_format(left, self.budget.sized(list(right) if isinstance(right, tuple) else [right]))
        return self._checked(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the safe variant of `str.format`, with a limit of the widths, if `value` is that method."""
        wrapped: Callable[..., str] | None = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def guarded(*args: Any, **kwargs: Any) -> str:
            check_format(value.__self__, self.budget.sized([*args, *kwargs.values()]))
            text: str = self._checked(wrapped(*args, **kwargs))
            return text

        return guarded

    def _check_method(self, owner: Any, name: str, args: tuple[Any, ...]) -> None:
        if isinstance(owner, int | float) or name not in METHODS:
            raise LimitExceeded(f"the method {name} is not available in templates")
        self.budget.step(len(owner) // CHARS_PER_STEP)
        check_arguments(name, args)
        if name == "replace":
            check_replace(owner, *args[:2])
        elif name == "join":
            check_join(owner, *args[:1])
        elif name == "expandtabs":
            check_size(len(owner) * max([arg for arg in args if isinstance(arg, int)], default=8))

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter of Jinja with limits of its arguments and its result."""
        at = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.budget.step()
            value, more = args[at], (*args[at + 1 :], *kwargs.values())
            if hasattr(value, "__next__"):
                value = self._metered(value)
                args = (*args[:at], value, *args[at + 1 :])
            check_arguments(name, more)
            if name not in CHEAP_FILTERS:
                self.budget.step(len(value) // CHARS_PER_FILTER) if isinstance(value, str) else self.budget.charge(
                    value
                )
            if name == "replace":
                check_replace(text_of(value), *more[:2])
            elif name == "join":
                value = self.budget.sized(list(self._counted(value)))
                check_join(text_of(more[0]) if more and isinstance(more[0], str) else "", value)
                args = (*args[:at], value, *args[at + 1 :])
            elif name == "sum" and any(isinstance(arg, list | tuple) for arg in more):
                value = list(self._counted(value))
                self.budget.step(
                    len(value) * self.budget.charge(value) // CHARS_PER_STEP
                )  # each addition copies the sum
                args = (*args[:at], value, *args[at + 1 :])
            elif name in ("wordwrap", "urlize"):
                check_slow(name, text := text_of(value))
                self.budget.step(len(text))
            elif name == "indent":
                width = next((arg for arg in more if isinstance(arg, int | str) and not isinstance(arg, bool)), 4)
                text = text_of(value)
                check_size(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
            elif name == "format":
                check_format(text_of(value), self.budget.sized(list(more)))
            elif name in ("tojson", "string", "e", "escape", "forceescape", "pprint", "urlencode", "xmlattr"):
                self.budget.sized(value)
            return self._checked(function(*args, **kwargs))

        return guarded

    def _guarded_test(self, function: Any) -> Callable[..., Any]:
        """Return a test of Jinja that uses steps for the value with which it compares."""

        @functools.wraps(function)
        def guarded(value: Any, other: Any) -> Any:
            return function(value, self._compared(other))

        return guarded

    def _compared(self, value: Any) -> Any:
        """Return a value for a comparison, which reads all of it."""
        self.budget.charge(value)
        return value

    @pass_eval_context
    def _striptags(self, context: EvalContext, value: Any) -> str:
        """Return the text of HTML without tags, as the result of a block."""
        text: str = self.filters["striptags"](value)
        return escape(text) if context.autoescape else text

    def _checked(self, value: Any) -> Any:
        """Return a value that a template made, if it is small enough."""
        kind = type(value)
        if kind is int:
            if value.bit_length() > MAX_BITS:
                raise LimitExceeded(f"a number of more than {MAX_BITS} bits")
        elif isinstance(value, str | bytes):
            check_size(len(value))
            self.budget.step(len(value) // CHARS_PER_STEP)
        elif kind in (list, tuple, dict, set):
            self.budget.sized(value)
        return value

    def _counted(self, items: Iterable[Any]) -> Iterable[Any]:
        """Return `items`, each for one step."""
        if type(items) is list:
            self.budget.step(len(items))
            return items
        return self._each_counted(items)

    def _each_counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield `items`, each for one step."""
        budget = self.budget
        for item in items:
            budget.step()
            yield item

    def _metered(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield `items`, each for one step, as long as their texts together are not too long."""
        size = 0
        for item in self._each_counted(items):
            size += len(item) if isinstance(item, str | bytes) else 1
            check_size(size)
            yield item

    @pass_eval_context
    def _concat(self, context: EvalContext, parts: list[Any]) -> str:
        """Return the result of `a ~ b ~ c`."""
        self.budget.sized(parts)
        joined: str = self._checked(markup_join(parts) if context.autoescape else str_join(parts))
        return joined

    def _range(self, *bounds: int) -> range:
        found = range(*bounds)
        if len(found) > MAX_ARGUMENT:
            raise LimitExceeded(f"a range of more than {MAX_ARGUMENT:,} numbers")
        return found
