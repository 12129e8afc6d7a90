"""The parsed tree of a template, changed so that the compiled template spends its budget (see `sandbox.py`)."""

from __future__ import annotations

from typing import Any, cast

from jinja2 import TemplateSyntaxError, nodes

#: Characters of one template, levels of its parts, and loops and macros within each other: Jinja's time grows faster than these.
MAX_SOURCE, MAX_DEPTH, MAX_LOOPS = 400_000, 100, 12
#: Names of filters that no template can write.
COUNTED, SIZED, CONCAT, COMPARED = "takk counted", "takk sized", "takk concat", "takk compared"
#: The filter of the texts of blocks whose result is HTML, unlike that of `striptags`.
STRIPTAGS = "takk striptags"
#: Parts of a body that cost a step.
_NODES_PER_STEP = 16
#: The bodies of a template: each pass through one is counted.
_BODIES = (nodes.Template, nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block, nodes.Scope)
#: The reasons why Jinja or Python cannot read a template, by whether a number is the cause.
UNREADABLE = {False: "the template is nested too deeply", True: "a number with too many digits"}


def check_depth(tree: nodes.Template, name: str | None, filename: str | None) -> None:
    """Raise TemplateSyntaxError if parts, or loops and macros, are nested too deeply."""
    todo: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while todo:
        node, depth, loops = todo.pop()
        if depth > MAX_DEPTH or loops > MAX_LOOPS:
            raise TemplateSyntaxError(UNREADABLE[False], getattr(node, "lineno", 1), name, filename)
        inner = loops + isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock)
        todo += [(child, depth + 1, inner) for child in node.iter_child_nodes()]


def with_limits(tree: nodes.Template) -> nodes.Template:
    """Return the tree of a template with the steps that spend the budget."""
    for body in [tree, *tree.find_all(_BODIES)]:
        if isinstance(body, nodes.For):
            body.iter = _filtered(cast(nodes.Expr, body.iter), COUNTED)
        if isinstance(body, _BODIES):
            # The code generator makes a call of this statement, which writes nothing and may stand before `extends`.
            body.body.insert(0, nodes.ExprStmt(nodes.Const(_cost(body)), lineno=body.lineno))
    for filtered in tree.find_all(nodes.FilterBlock):
        _escape_stripped(filtered.filter)
    for assigned in tree.find_all(nodes.AssignBlock):
        _escape_stripped(assigned.filter)
    _replace_children(tree)
    if tree.environment is not None:
        tree.set_environment(tree.environment)
    return tree


def _cost(body: nodes.Node) -> int:
    """Return the steps of a pass of a body, without those of the bodies in it: one per value that it may write, and those of its parts."""
    parts, values, todo = 0, 0, list(body.iter_child_nodes())
    while todo:
        node = todo.pop()
        parts += 1
        if isinstance(node, nodes.Output):
            values += sum(not isinstance(child, nodes.TemplateData) for child in node.nodes)
        if not isinstance(node, _BODIES):
            todo += node.iter_child_nodes()
    return 1 + values + parts // _NODES_PER_STEP


def _escape_stripped(block_filter: nodes.Node | None) -> None:
    """Replace `striptags` in the filters of a block: Jinja writes their result unchanged, and `striptags` makes `<` of `&lt;`."""
    while isinstance(block_filter, nodes.Filter):
        if block_filter.name == "striptags":
            block_filter.name = STRIPTAGS
        block_filter = block_filter.node


def _replace_children(node: nodes.Node) -> None:
    """Replace `a ~ b` by a call with a limit, and check the size of lists, tuples and mappings that a template writes."""
    todo = [node]
    while todo:
        parent = todo.pop()
        if isinstance(parent, nodes.Filter) and parent.name in (SIZED, CONCAT) and parent.node is not None:
            parent = parent.node  # it was replaced already
        for name, value in list(parent.iter_fields()):
            if isinstance(value, list):
                setattr(parent, name, [_replaced(item) for item in value])
            elif isinstance(value, nodes.Node):
                setattr(parent, name, _replaced(value))
        todo += parent.iter_child_nodes()


def _replaced(node: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), CONCAT)
    if isinstance(node, nodes.List) and all(isinstance(item, nodes.Const) for item in node.items):
        return node  # `_cost` counts its items, and the source bounds their size
    if isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _filtered(node, SIZED)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _filtered(node, SIZED)
    if isinstance(node, nodes.Compare):
        _limit_comparisons(node)
    return node


def _limit_comparisons(node: nodes.Compare) -> None:
    left = node.expr
    for operand in node.ops:
        right = operand.expr
        is_search = operand.op in ("in", "notin")
        if not isinstance(right, nodes.Literal) and (is_search or not isinstance(left, nodes.Const)):
            operand.expr = _filtered(right, COMPARED)
        left = right


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
