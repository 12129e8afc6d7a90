"""Every rule that a decision can name has a text in `takk why`, and every text has a rule."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from streams.core.handlers.merges import MERGED, REFUSED
from streams.core.handlers.merging.flows import ALREADY_IN_FLOW
from streams.core.handlers.requests import CONFIRMED, EXPIRED, TOO_MANY, UNANSWERED, UNKNOWN
from streams.core.instances.expiry import REWARD_USED
from streams.core.model.person_events import ERASED
from streams.core.rules.trigger_names import EXITS
from streams.core.sending.address_limits import CAPPED, LIMITED, SUPPRESSED
from streams.core.triggers.dates import DATE_REMOVED
from streams.mail.composing import CRASHED
from streams.settings import PROJECT_ROOT
from streams.tools.operations.rule_texts import ENGAGEMENT, OUTCOMES, RULES

STREAMS = PROJECT_ROOT / "streams"
FILES = [
    *(STREAMS / "core").rglob("*.py"),
    STREAMS / "mail" / "composing.py",
    STREAMS / "mail" / "mailer.py",
    STREAMS / "mail" / "newer_templates.py",
    STREAMS / "mail" / "outcomes.py",
    STREAMS / "agents" / "mail_reports.py",
    STREAMS / "agents" / "mailer.py",
    STREAMS / "tools" / "operations" / "resend.py",
]
#: Calls that name a rule: the index of the rule among the arguments, and its keyword.
NAMING = {
    **dict.fromkeys(("send", "skip", "defer", "schedule", "exit", "limit", "note"), (0, "rule")),
    "_log": (1, "rule"),
    "hit_limit": (0, "limit"),
    "Deferral": (0, "rule"),
    "ConsentDecision": (1, "rule"),
    "LogDecision": (None, "rule"),
    "Report": (None, "rule"),
    "report_deferred": (None, "rule"),
}
#: Functions whose results are rules.
GIVING = ("_suppression", "exit_reason")


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the strings that an expression may evaluate to, but not those it compares with."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts(value)


def named(tree: ast.AST) -> Iterator[str]:
    """Yield the rules that a module names."""
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
        for argument in node.keywords:
            if argument.arg == keyword:
                yield from texts(argument.value)
        if place is not None and len(node.args) > place:
            yield from texts(node.args[place])


def test_every_rule_has_a_text() -> None:
    """Each rule of the core and the mailer has a text, and no text is left over."""
    found = {rule for file in FILES for rule in named(ast.parse(file.read_text(encoding="utf-8")))} | set(EXITS)
    found |= {CRASHED, SUPPRESSED, CAPPED, LIMITED, ERASED, MERGED, REFUSED, ALREADY_IN_FLOW}
    found |= {CONFIRMED, EXPIRED, TOO_MANY, UNANSWERED, UNKNOWN, DATE_REMOVED, REWARD_USED}
    assert len(found) > 40
    assert sorted(found - RULES.keys()) == []
    assert sorted(RULES.keys() - found) == []


def test_every_outcome_and_kind_of_engagement_has_a_text() -> None:
    """Each outcome of an email and each kind of engagement that a record can contain has a text."""
    for schema, field, texts in (
        ("email_event", "outcome", OUTCOMES),
        ("attributed_engagement", "kind", ENGAGEMENT),
    ):
        fields = json.loads((PROJECT_ROOT / "schemas" / f"{schema}.avsc").read_text(encoding="utf-8"))["fields"]
        symbols = next(one["type"]["symbols"] for one in fields if one["name"] == field)
        assert set(symbols) - {"unknown"} == texts.keys() - {"unknown"}
