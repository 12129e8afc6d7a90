"""The sandbox of templates: a template can neither reach the program nor cost much time or memory, whatever is written in it.

Each rendering has a budget of steps (calls, filters, operations, passes of loops) and of characters. Every value that a template makes has
a bounded size, so each step costs little. `_generate` adds a step to each body of the compiled template.

Constants are not computed while a template is compiled, as Jinja does otherwise: `{{ 'a' * 10**8 }}` would cost as much there.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from jinja2 import TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Steps of one rendering. The largest email of the library takes some 3,000; 200,000 take less than a second.
MAX_STEPS = 200_000
#: Characters that one rendering writes, in all its parts. Gmail cuts an email at 102 kB.
MAX_OUTPUT = 4_000_000
#: Characters, and characters and parts together, of one value that a template makes.
MAX_SIZE = 200_000
#: The largest number that is an argument of a filter or of a method of a text: a width, a count, a length.
MAX_ARGUMENT = 10_000
#: Bits of a whole number that a template computes.
MAX_BITS = 4096
#: Characters of one template, levels of its parts, and loops and macros within each other: Jinja's time grows faster than these.
MAX_SOURCE, MAX_DEPTH, MAX_LOOPS = 1_000_000, 100, 12
#: Characters of which a step costs one more.
CHARS_PER_STEP = 4096

_WIDE = re.compile(r"[0-9]{4,}|\*")
_NESTED = re.compile(r"\{[^{}]*\{")
#: Jinja's functions that make texts of any length, and that a template of an email does not need.
_REMOVED = ("lipsum",)
#: The methods of texts that a template may call. `_check_method` bounds those that make longer texts.
_METHODS = frozenset(
    {"capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal"}
    | {"isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix"}
    | {"removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip"}
    | {"swapcase", "title", "upper", "zfill", "striptags", "unescape", "encode", "format", "format_map", "isidentifier", "isprintable"}
)  # fmt: skip
_SPEND, _COUNTED, _SIZED, _CONCAT = "takk spend", "takk counted", "takk sized", "takk concat"


class LimitExceeded(TemplateRuntimeError):
    """A template that costs more than it may. The text names the limit, and no data."""


class _Budget:
    """The steps and characters that one rendering may still use."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.output = MAX_OUTPUT

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise LimitExceeded(f"the template takes more than {MAX_STEPS:,} steps; use shorter loops")

    def write(self, characters: int) -> None:
        self.output -= characters
        if self.output < 0:
            raise LimitExceeded(f"the message has more than {MAX_OUTPUT:,} characters; write less in loops")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits, in which `order.lines` first looks for the key `lines` of a dictionary.

    Jinja looks for an attribute first and catches its error, which is slow for the hundred fields of an email. It would also prefer the
    method `items` to a field of that name. A name that the dictionary lacks is resolved and checked by Jinja's sandbox.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, optimized=False, finalize=_finalize)
        self._local = threading.local()
        for name in _REMOVED:
            self.globals.pop(name, None)
        self.globals["range"] = self._range
        for name, function in list(self.filters.items()):
            self.filters[name] = self._guarded(name, function)
        self.filters |= {
            _SPEND: self._spend,
            _COUNTED: self._counted,
            _SIZED: self._sized,
            _CONCAT: self._concat,
        }

    @property
    def budget(self) -> _Budget:
        """The budget of the rendering in this thread."""
        found: _Budget | None = getattr(self._local, "budget", None)
        if found is None:
            found = self._local.budget = _Budget()
        return found

    def start(self) -> None:
        """Begin a rendering: the budget is whole again."""
        self._local.budget = _Budget()

    # -- compiling ---------------------------------------------------------------------------------------------------

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"a template of more than {MAX_SOURCE:,} characters", 1, name, filename)
        try:
            tree = super()._parse(source, name, filename)
        except (RecursionError, MemoryError, ValueError, OverflowError) as error:
            raise TemplateSyntaxError(_UNREADABLE[isinstance(error, ValueError)], 1, name, filename) from None
        _check_depth(tree, name, filename)
        return tree

    def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
        try:
            return super()._generate(_with_limits(source), *args, **options)
        except RecursionError:
            raise TemplateSyntaxError(_UNREADABLE[False], 1) from None

    def _compile(self, source: str, filename: str) -> Any:
        try:
            return super()._compile(source, filename)
        except (RecursionError, MemoryError, SyntaxError, ValueError):
            # Python has limits too, for example twenty loops within each other.
            raise TemplateSyntaxError(_UNREADABLE[False], 1) from None

    # -- rendering ---------------------------------------------------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the value of `obj.attribute` in a template."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of a template within the limits."""
        __self.budget.step()
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str | bytes | int | float):
            args = tuple(__self._metered(arg) if hasattr(arg, "__next__") else arg for arg in args)
            if getattr(__obj, "__name__", "") == "join":
                args = tuple(list(arg) if hasattr(arg, "__next__") else arg for arg in args)
            __self._check_method(owner, str(getattr(__obj, "__name__", "")), (*args, *kwargs.values()))
        elif isinstance(__obj, LoopContext) and args and hasattr(args[0], "__len__"):
            __self.budget.step(len(args[0]))
        return __self._checked(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute `left operator right` within the limits."""
        self.budget.step()
        if operator in ("*", "**"):
            _check_product(operator, left, right)
        elif operator == "%" and isinstance(left, str | bytes):
            _check_format(left)
        return self._checked(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the safe variant of `str.format`, with a limit of the widths, if `value` is that method."""
        wrapped: Callable[..., str] | None = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def guarded(*args: Any, **kwargs: Any) -> str:
            _check_format(value.__self__)
            return wrapped(*args, **kwargs)

        return guarded

    def _check_method(self, owner: Any, name: str, args: tuple[Any, ...]) -> None:
        if isinstance(owner, int | float) or name not in _METHODS:
            raise LimitExceeded(f"the method {name} is not available in templates")
        _check_arguments(name, args)
        if name == "replace":
            _check_replace(owner, *args[:2])
        elif name == "join":
            _check_join(owner, *args[:1])
        elif name == "expandtabs":
            _check_size(len(owner) * max([arg for arg in args if isinstance(arg, int)], default=8))

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
            _check_arguments(name, more)
            if name == "replace":
                _check_replace(_text(value), *more[:2])
            elif name == "join":
                value = self._sized(list(self._counted(value)))
                _check_join(_text(more[0]) if more and isinstance(more[0], str) else "", value)
                args = (*args[:at], value, *args[at + 1 :])
            elif name == "indent":
                width = next((arg for arg in more if isinstance(arg, int | str) and not isinstance(arg, bool)), 4)
                text = _text(value)
                _check_size(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
            elif name == "format":
                _check_format(_text(value))
            elif name in ("tojson", "string", "e", "escape", "forceescape", "pprint", "urlencode", "xmlattr"):
                self._sized(value)
            return self._checked(function(*args, **kwargs))

        return guarded

    def _checked(self, value: Any) -> Any:
        """Return a value that a template made, if it is small enough."""
        kind = type(value)
        if kind is int:
            if value.bit_length() > MAX_BITS:
                raise LimitExceeded(f"a number of more than {MAX_BITS} bits")
        elif isinstance(value, str | bytes):
            _check_size(len(value))
            self.budget.step(len(value) // CHARS_PER_STEP)
        elif kind in (list, tuple, dict, set):
            self._sized(value)
        return value

    def _spend(self, characters: int) -> str:
        """Count one pass of a body with `characters` of plain text."""
        self.budget.step()
        self.budget.write(characters)
        return ""

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield `items`, each for one step."""
        budget = self.budget
        for item in items:
            budget.step()
            yield item

    def _metered(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield `items`, each for one step, as long as their texts together are not too long."""
        size = 0
        for item in self._counted(items):
            size += len(item) if isinstance(item, str | bytes) else 1
            _check_size(size)
            yield item

    def _sized(self, value: Any) -> Any:
        """Return a value that is not too large with everything in it. Parts that occur twice count twice."""
        left, todo = MAX_SIZE, [value]
        while todo:
            part = todo.pop()
            left -= 1 + (len(part) if isinstance(part, str | bytes) else 0)
            if left < 0:
                _check_size(MAX_SIZE + 1)
            if isinstance(part, Mapping):
                todo += part.keys()
                todo += part.values()
            elif isinstance(part, list | tuple | set | frozenset):
                if len(part) + len(todo) > MAX_SIZE:
                    _check_size(MAX_SIZE + 1)
                todo += part
        self.budget.step((MAX_SIZE - left) // CHARS_PER_STEP)
        return value

    @pass_eval_context
    def _concat(self, context: EvalContext, parts: list[Any]) -> str:
        """Return the result of `a ~ b ~ c`."""
        self._sized(parts)
        joined: str = self._checked(markup_join(parts) if context.autoescape else str_join(parts))
        return joined

    def _range(self, *bounds: int) -> range:
        found = range(*bounds)
        if len(found) > MAX_ARGUMENT:
            raise LimitExceeded(f"a range of more than {MAX_ARGUMENT:,} numbers")
        return found


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    """Count an expression that is written. Because it needs the context, Jinja computes no expression while it compiles."""
    environment = context.environment
    if isinstance(environment, Sandbox):
        environment.budget.step()
        if isinstance(value, str):
            environment.budget.write(len(value))
        elif isinstance(value, Mapping | list | tuple | set | frozenset):
            environment.budget.write(len(str(environment._sized(value))))
    return value


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise LimitExceeded(f"a value of more than {MAX_SIZE:,} characters")


def _check_arguments(name: str, args: Iterable[Any]) -> None:
    for arg in args:
        if isinstance(arg, int | float) and not -MAX_ARGUMENT <= arg <= MAX_ARGUMENT:
            raise LimitExceeded(f"an argument of {name} is greater than {MAX_ARGUMENT:,}")


def _check_product(operator: str, left: Any, right: Any) -> None:
    if operator == "**":
        if isinstance(left, int) and isinstance(right, int) and right > 0 and left.bit_length() * right > MAX_BITS:
            raise LimitExceeded(f"a number of more than {MAX_BITS} bits")
        return
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | bytes | list | tuple) and isinstance(times, int):
            _check_size(len(value) * times)


def _check_format(pattern: str | bytes) -> None:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else str(pattern)
    if _WIDE.search(text) or _NESTED.search(text):
        raise LimitExceeded("a format has a width of four digits or more, or one that is computed")


def _check_replace(text: Any, old: Any = "", new: Any = "") -> None:
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        _check_size(len(text) + text.count(old) * len(new))


def _check_join(separator: Any, items: Any = ()) -> None:
    if hasattr(items, "__len__") and hasattr(separator, "__len__"):
        _check_size(len(items) * len(separator) + sum(len(item) for item in items if isinstance(item, str)))


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


# -- the compiled template ---------------------------------------------------------------------------------------------

#: The bodies of a template: each pass through one is counted.
_BODIES = (nodes.Template, nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)
_UNREADABLE = {False: "the template is nested too deeply", True: "a number with too many digits"}


def _check_depth(tree: nodes.Template, name: str | None, filename: str | None) -> None:
    todo: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while todo:
        node, depth, loops = todo.pop()
        if depth > MAX_DEPTH or loops > MAX_LOOPS:
            raise TemplateSyntaxError(_UNREADABLE[False], getattr(node, "lineno", 1), name, filename)
        inner = loops + isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock)
        todo += [(child, depth + 1, inner) for child in node.iter_child_nodes()]


def _with_limits(tree: nodes.Template) -> nodes.Template:
    """Return the tree of a template with the steps that spend the budget."""
    for body in [tree, *tree.find_all(_BODIES)]:
        if isinstance(body, nodes.For):
            body.iter = _filtered(cast(nodes.Expr, body.iter), _COUNTED)
        if isinstance(body, _BODIES):
            spent = nodes.Output([_filtered(nodes.Const(_characters(body)), _SPEND)], lineno=body.lineno)
            # A parent template must be the first thing in a template, see Jinja's `extends`.
            body.body.insert(0, spent)
    _replace_children(tree)
    if tree.environment is not None:
        tree.set_environment(tree.environment)
    return tree


def _characters(body: nodes.Node) -> int:
    """Return the number of characters of plain text in a body, without those of the bodies in it."""
    total, todo = 0, list(body.iter_child_nodes())
    while todo:
        node = todo.pop()
        if isinstance(node, nodes.TemplateData):
            total += len(node.data)
        elif not isinstance(node, _BODIES):
            todo += node.iter_child_nodes()
    return total


def _replace_children(node: nodes.Node) -> None:
    """Replace `a ~ b` by a call with a limit, and check the size of lists, tuples and mappings that a template writes."""
    todo = [node]
    while todo:
        parent = todo.pop()
        if isinstance(parent, nodes.Filter) and parent.name in (_SIZED, _CONCAT) and parent.node is not None:
            parent = parent.node  # it was replaced already
        for name, value in list(parent.iter_fields()):
            if isinstance(value, list):
                setattr(parent, name, [_replaced(item) for item in value])
            elif isinstance(value, nodes.Node):
                setattr(parent, name, _replaced(value))
        todo += parent.iter_child_nodes()


def _replaced(node: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _CONCAT)
    if isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _filtered(node, _SIZED)
    return node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
