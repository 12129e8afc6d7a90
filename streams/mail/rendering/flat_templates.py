"""Flat templates: one template with all parts of a message in one language, which renders the same text faster.

A message extends a layout, includes shared parts and names texts of the copy. Each of them has a context of its own, looks up its variables
again, and joins its own text. A flat template has the parts in their places. For example, with the copy `hi: Hello & welcome` and

    {% extends "layout" %}{% block content %}<p>{{ t("hi") }}</p>{% include "lines" %}{% endblock %}     the message
    <body>{% block content %}{% endblock %}</body>                                                       layout
    {% for line in order.lines %}{{ line.title }}<br>{% endfor %}                                        lines

the flat template is

    <body><p>Hello &amp; welcome</p>{% for line in order.lines %}{{ line.title }}<br>{% endfor %}</body>

It is made of the parsed trees, so that the sandbox adds its limits to it as to any template. Values that are the same in all emails, such as
the brand, are in it as text, and conditions on them are decided.

Templates that would read other variables in a flat template, or that use `super()`, includes with a computed name or imports with context,
are not flattened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from markupsafe import escape

from streams.mail.rendering.flat_scopes import CannotFlatten, Scope, loaded_in, names_in, stored_by, targets_of
from streams.mail.rendering.flat_values import KnownValues
from streams.mail.rendering.template_tree import MAX_SOURCE, check_depth

#: Templates, includes and texts of one message.
_MAX_PARTS = 500
#: Variables that mean something else in each template, and statements that change how a template writes.
_UNFIT_NAMES = frozenset({"self", "super"})
_UNFIT_NODES = (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier, nodes.OverlayScope)


def flatten(
    environment: Environment, name: str, sources: Mapping[str, str], texts: Mapping[str, str], known: Mapping[str, Any]
) -> nodes.Template:
    """Return the tree of the flat template of a message.

    Args:
        environment: the environment of the templates.
        name: the name of the message's template.
        sources: the templates by name. They raise TemplateNotFound for a missing one.
        texts: the copy by key.
        known: the values that are the same in all emails, by variable.

    Raises:
        CannotFlatten: the templates must be rendered one by one.
        TemplateError: a template is missing or invalid.
    """
    return _Flattening(environment, sources, texts, known).template(name)


class _Flattening:
    def __init__(
        self,
        environment: Environment,
        sources: Mapping[str, str],
        texts: Mapping[str, str],
        known: Mapping[str, Any],
    ) -> None:
        self._environment = environment
        self._sources = sources
        self._texts = texts
        self._known = KnownValues(known)
        #: The blocks that the message shows, by name.
        self._blocks: dict[str, nodes.Block] = {}
        self._parts = self._size = 0
        #: The templates that are being included.
        self._including: list[str] = []

    def template(self, name: str) -> nodes.Template:
        body = self._with_layouts(name)
        flat = nodes.Template(_with_lookups(self._body(body, Scope(body))), lineno=1)
        flat.set_environment(self._environment)
        check_depth(flat, name, None)
        return flat

    def _parsed(self, source: str, name: str | None) -> nodes.Template:
        self._parts += 1
        self._size += len(source)
        if self._parts > _MAX_PARTS or self._size > MAX_SOURCE:
            raise CannotFlatten("too many parts")
        tree = self._environment.parse(source, name)
        if _UNFIT_NAMES & loaded_in(tree.body) or any(tree.find_all(_UNFIT_NODES)):
            raise CannotFlatten(f"{name} must be rendered on its own")
        imports: list[nodes.Import | nodes.FromImport] = [
            *tree.find_all(nodes.Import),
            *tree.find_all(nodes.FromImport),
        ]
        if any(node.with_context for node in imports):
            raise CannotFlatten("an imported template may read any variable")
        return tree

    def _with_layouts(self, name: str) -> list[nodes.Node]:
        """Return the statements of the outermost layout of a message, after those that the message and its other layouts execute first."""
        first: list[nodes.Node] = []
        while True:
            tree = self._parsed(self._sources[name], name)
            for block in tree.find_all(nodes.Block):
                self._blocks.setdefault(block.name, block)
            extends = list(tree.find_all(nodes.Extends))
            if not extends:
                return [*first, *tree.body]
            layout = extends[0].template
            if len(extends) > 1 or tree.body[0] is not extends[0] or not isinstance(layout, nodes.Const):
                raise CannotFlatten("the layout depends on a condition")
            for statement in tree.body[1:]:
                if isinstance(statement, nodes.Assign | nodes.Import | nodes.FromImport):
                    first.append(statement)
                elif not isinstance(statement, nodes.Block | nodes.Output):
                    raise CannotFlatten("a statement outside the blocks")  # texts outside the blocks are not shown
            name = str(layout.value)

    def _body(self, body: Iterable[nodes.Node], scope: Scope) -> list[nodes.Node]:
        """Return statements with the parts that they include, and with neighbouring texts as one."""
        flat: list[nodes.Node] = []
        for statement in body:
            for part in self._statement(statement, scope):
                if isinstance(part, nodes.Output) and flat and isinstance(last := flat[-1], nodes.Output):
                    last.nodes = _joined([*last.nodes, *part.nodes])
                else:
                    flat.append(part)
            scope.assigned.update(stored_by(statement))
        return flat

    def _statement(self, node: nodes.Node, scope: Scope) -> Iterator[nodes.Node]:
        if isinstance(node, nodes.Output):
            yield from self._output(node, scope)
        elif isinstance(node, nodes.Include):
            yield from self._included(node, scope)
        elif isinstance(node, nodes.Block):
            block = self._blocks[node.name]
            if block.required:
                raise CannotFlatten("a block is missing")
            scope.check_block(loaded_in(block.body))
            yield from self._in_place(block.body, scope)
        elif isinstance(node, nodes.If):
            yield from self._condition(node, scope)
        elif isinstance(node, nodes.For):
            if not self._known.is_empty_loop(node, scope):
                scope.check_inner(loaded_in([node]))
                inner = Scope(node.body, scope, targets_of(node.target), is_loop=True)
                node.body = self._body(node.body, inner)
                node.else_ = self._body(node.else_, Scope(node.else_, scope))
                yield node
        elif isinstance(node, nodes.With):
            scope.check_inner(loaded_in([node]))
            targets = {name for target in node.targets for name in targets_of(target)}
            node.body = self._body(node.body, Scope(node.body, scope, targets))
            yield node
        elif isinstance(node, nodes.Assign | nodes.Import | nodes.FromImport):
            yield node
        else:
            raise CannotFlatten(f"a statement {type(node).__name__}")

    def _condition(self, node: nodes.If, scope: Scope) -> Iterator[nodes.Node]:
        """Yield a condition, or the statements of the branch that is chosen in all emails."""
        node.test, is_true = self._known.decided(node.test, scope)
        if is_true is None:
            node.body, node.else_ = self._branch(node.body, scope), self._branch(node.else_, scope)
            for other in node.elif_:
                other.body = self._branch(other.body, scope)
            yield node
        elif is_true:
            yield from self._branch(node.body, scope)
        elif node.elif_:
            first, *others = node.elif_
            yield from self._condition(nodes.If(first.test, first.body, others, node.else_, lineno=first.lineno), scope)
        else:
            yield from self._branch(node.else_, scope)

    def _branch(self, body: list[nodes.Node], scope: Scope) -> list[nodes.Node]:
        known, scope.assigned = scope.assigned, set(scope.assigned)
        flat = self._body(body, scope)
        scope.assigned = known
        return flat

    def _included(self, node: nodes.Include, scope: Scope) -> Iterator[nodes.Node]:
        if not isinstance(node.template, nodes.Const) or not node.with_context or node.ignore_missing:
            raise CannotFlatten("an include that depends on the email")
        name = str(node.template.value)
        if name in self._including:
            raise CannotFlatten("a template that includes itself")
        tree = self._parsed(self._sources[name], name)
        if any(tree.find_all((nodes.Extends, nodes.Block))):
            raise CannotFlatten("an included template with blocks")
        scope.check_include(loaded_in(tree.body))
        self._including.append(name)
        yield from self._in_place(tree.body, scope)
        self._including.pop()

    def _in_place(self, body: list[nodes.Node], scope: Scope) -> list[nodes.Node]:
        """Return the statements of a block or of an included template. Variables that they assign are not seen after them.

        In a loop they have a scope that counts its own steps, because a pass may skip them.
        """
        inner = Scope(body, scope)
        flat = self._body(body, inner)
        return [nodes.Scope(flat, lineno=1)] if inner.has_stores or scope.is_in_loop else flat

    def _output(self, node: nodes.Output, scope: Scope) -> Iterator[nodes.Node]:
        """Yield a written text with the texts of the copy in their places."""
        written: list[nodes.Expr] = []
        for value in node.nodes:
            statements = self._text(value, scope)
            if statements is None:
                written.append(self._constant(value, scope))
                continue
            yield nodes.Output(_joined(written), lineno=node.lineno)
            yield from statements
            written = []
        yield nodes.Output(_joined(written), lineno=node.lineno)

    def _constant(self, value: nodes.Expr, scope: Scope) -> nodes.Expr:
        """Return a written value as plain text if it is the same in all emails."""
        if isinstance(value, nodes.CondExpr):
            value.expr1 = self._plain_text(value.expr1, scope) or value.expr1
            if value.expr2 is not None:
                value.expr2 = self._plain_text(value.expr2, scope) or value.expr2
            return value
        found = self._plain_text(value, scope)
        text = found.value if found is not None else self._known.text(value, scope)
        if text is None:
            return value
        return nodes.TemplateData(str(escape(text) if self._environment.autoescape else text), lineno=value.lineno)

    def _plain_text(self, value: nodes.Expr, scope: Scope) -> nodes.Const | None:
        """Return the text of the copy that a call of `t` names, if it has no expressions; None for anything else."""
        source = self._source(value, scope)
        if source is None or "{" in source:
            return None
        return nodes.Const(escape(source) if self._environment.autoescape else source, lineno=value.lineno)

    def _text(self, value: nodes.Expr, scope: Scope) -> list[nodes.Node] | None:
        """Return the statements of the text of the copy that a call of `t` names, if it has expressions; None for anything else."""
        source = self._source(value, scope)
        if source is None or "{" not in source:
            return None
        try:
            body = self._parsed(source, None).body
        except TemplateError:
            return None  # reported by an email that needs the text
        names = loaded_in(body)
        # A text has the data of the email, and neither the variables of templates nor other texts.
        if {"t", "loop"} & names or any(map(scope.stores, names)) or not all(map(_is_simple, body)):
            return None
        return self._body(body, scope)

    def _source(self, value: nodes.Expr, scope: Scope) -> str | None:
        """Return the source of the text that a call of `t` names, or None for anything else."""
        if (
            isinstance(value, nodes.Call)
            and isinstance(value.node, nodes.Name)
            and value.node.name == "t"
            and not scope.stores("t")
            and len(value.args) == 1
            and isinstance(key := value.args[0], nodes.Const)
            and not (value.kwargs or value.dyn_args or value.dyn_kwargs)
        ):
            return self._texts.get(key.value)
        return None


def _with_lookups(body: list[nodes.Node]) -> list[nodes.Node]:
    """Return the statements of a flat template so that it looks up its variables once, and not in each pass of a loop.

    Jinja looks up a variable at the beginning of the outermost body that names it. So a condition that is never true names them all.
    """
    names = list(names_in(body))
    found = sorted({name.name for name in names} - {name.name for name in names if name.ctx != "load"} - {"loop"})
    never = nodes.If(nodes.Const(False), [], [], [], lineno=1)
    never.body = [nodes.Output([nodes.Name(name, "load")], lineno=1) for name in found]
    return [never, *body] if found else body


def _is_simple(statement: nodes.Node) -> bool:
    """Return whether a statement of a text writes values, perhaps on conditions, and assigns nothing."""
    if isinstance(statement, nodes.If):
        return all(map(_is_simple, [*statement.body, *statement.elif_, *statement.else_]))
    return isinstance(statement, nodes.Output)


def _joined(values: Iterable[nodes.Expr]) -> list[nodes.Expr]:
    """Return written values with neighbouring plain texts as one, and without empty ones."""
    joined: list[nodes.Expr] = []
    for value in values:
        if isinstance(value, nodes.TemplateData):
            if not value.data:
                continue
            if joined and isinstance(last := joined[-1], nodes.TemplateData):
                joined[-1] = nodes.TemplateData(last.data + value.data, lineno=last.lineno)
                continue
        joined.append(value)
    return joined
