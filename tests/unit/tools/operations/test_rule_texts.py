"""Every rule that the code can name in a decision has words in `takk why`, and no words are left over."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from streams.core.model.flow import EXITS
from streams.settings import PROJECT_ROOT
from streams.tools.operations.rule_texts import RULES

STREAMS = PROJECT_ROOT / "streams"
FILES = [*(STREAMS / "core").rglob("*.py"), STREAMS / "mail" / "mailer.py", STREAMS / "agents" / "mailer.py"]
#: What names a rule: the call, the place of the rule among its arguments, and its keyword.
NAMING = {
    **dict.fromkeys(("send", "skip", "defer", "schedule", "exit", "limit"), (0, "rule")),
    "_log": (1, "rule"),
    "hit_limit": (0, "limit"),
    "Deferral": (0, "rule"),
    "ConsentDecision": (1, "rule"),
    "LogDecision": (None, "rule"),
    "Report": (None, "rule"),
}
#: Functions whose results are rules.
GIVING = ("_suppression", "exit_reason")


def texts(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may give: not those that it compares with."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts(value)


def named(tree: ast.AST) -> Iterator[str]:
    """The rules that a module's code names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in GIVING:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from texts(inner.value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("rule", "(rule, words)", "(rule, detail)"):
            yield from texts(node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in NAMING:
            continue
        place, keyword = NAMING[name]
        for told in node.keywords:
            if told.arg == keyword:
                yield from texts(told.value)
        if place is not None and len(node.args) > place:
            yield from texts(node.args[place])


def test_every_rule_has_words_and_all_words_a_rule() -> None:
    """A decision whose rule `takk why` cannot explain explains nothing."""
    found = {rule for file in FILES for rule in named(ast.parse(file.read_text(encoding="utf-8")))} | set(EXITS)
    assert len(found) > 40
    assert sorted(found - RULES.keys()) == []
    assert sorted(RULES.keys() - found) == []
