"""templates/README.md and LANGUAGE.md describe every key of the language, and every example in them is valid."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, get_args

import pytest

from streams.core.conditions.date_values import DAYS_UNTIL
from streams.core.conditions.names import NAMES
from streams.core.conditions.purchase_values import CALLS
from streams.core.instances.steps.wait import TargetTime
from streams.core.model.events import OrderLine
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import ConsentPolicy, Purpose, Verdict
from streams.core.rules.flow import Clock, Flow, OncePer, Send, Status, Which
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.sending_rules import SendingRules
from streams.core.rules.trigger_names import AWAITED, CATALOGUE_CHANGES, EXITS, SYNONYMS, TRIGGERS
from streams.definitions.checks.sample_data import template_sample
from streams.definitions.language import keys
from streams.definitions.language.brand import parse_brand
from streams.definitions.language.conditions import Scope, compile_condition
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.rules import parse_rules, parse_segments
from streams.definitions.language.steps.kinds import BY_KEY, KINDS
from streams.mail.rendering.brand import Brand
from streams.mail.rendering.occasions import parse_occasions
from streams.testing import Scenario
from tests.harness.events import TEMPLATES

GUIDE = (TEMPLATES / "README.md").read_text(encoding="utf-8")
LANGUAGE = (TEMPLATES / "LANGUAGE.md").read_text(encoding="utf-8")
MESSAGES = ["a", "b", "c"]
SEGMENTS = ["lapsed", "vip"]
KEYS = [
    *keys.FLOW.known, *keys.MIGRATION.known, *keys.TRIGGER.known, *BY_KEY,
    *(key for kind in KINDS for mapping in kind.mappings for key in mapping.known),
    "caps", "most", "per", "of", "quiet_hours", "from", "to", "holidays", "calm", "while_late", "after_refund", "while_running", "outside",
    "verdict", "law", "article", "within_days",
]  # fmt: skip
CHOICES = [word for kind in (Purpose, Status, OncePer, Which, Clock, TargetTime, Verdict) for word in get_args(kind)]
BLOCKS = re.findall(r"```yaml\n(.*?)```", LANGUAGE, re.DOTALL)
WHOLE = [block for block in BLOCKS if block.startswith("flow:")]
FILES = {block.partition("\n")[0].removeprefix("# "): block for block in BLOCKS if block.startswith("# ")}
PARTS = [block for block in BLOCKS if not block.startswith(("flow:", "# "))]
TRIGGER_EXAMPLES = re.findall(r"`(\{on: [^`]*\})`", LANGUAGE)
EVENT_EXAMPLES = re.findall(r"`(\{event: [^`]*\})`", LANGUAGE)
EXIT_EXAMPLES = re.findall(r"`(exit_on: [^`]*)`", LANGUAGE)
#: Defaults that complete a part of a flow. A key in the part has precedence.
HEAD = {
    "flow": "example",
    "version": "1",
    "status": "live",
    "purpose": "marketing",
    "trigger": "{on: shipment.delivered, once_per: product}",
    "steps": "[{send: {message: a}}]",
}


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table rows in a section of LANGUAGE.md. Only rows that start with code count."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## )", LANGUAGE, re.DOTALL | re.MULTILINE)
    assert text is not None
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text[1].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def complete(part: str) -> str:
    """Return the text of a flow with `part`, which is a list of steps or some keys of a flow."""
    text = f"steps:\n{part}" if part.startswith("- ") else part
    return text + "".join(
        f"\n{key}: {value}" for key, value in HEAD.items() if not re.search(rf"^{key}:", text, re.MULTILINE)
    )


def read(text: str) -> Flow:
    """Return the flow in `text`, which must be valid."""
    parsed = parse_flow(text, MESSAGES, text.partition("flow: ")[2].partition("\n")[0], SEGMENTS)
    assert isinstance(parsed, Flow), parsed
    return parsed


@pytest.mark.parametrize("word", sorted({*KEYS, *CHOICES, *TRIGGERS, *AWAITED, *EXITS, *NAMES}))
def test_every_word_is_explained(word: str) -> None:
    """Each word that the code knows is in the reference."""
    assert re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", LANGUAGE), word


@pytest.mark.parametrize("key", sorted(set(KEYS)))
def test_every_key_has_an_example(key: str) -> None:
    """Each key is used in an example, and not only named in a table."""
    assert re.search(rf"(?<![\w.-]){key}: ?\S|(?<![\w.-]){key}:\n", "\n".join([*BLOCKS, *TRIGGER_EXAMPLES])), key


@pytest.mark.parametrize("text", [*WHOLE, *map(complete, PARTS)])
def test_every_example_is_valid(text: str) -> None:
    """Whole flows and parts of flows are read without an error."""
    read(text)


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: text.partition("\n")[0])
def test_every_complete_flow_has_an_effect(text: str) -> None:
    """Each complete flow sends an email or ends for a customer who views products, buys and receives parcels, or whose wish costs less."""
    flow = read(text)
    shop = Scenario(Ruleset([flow], consent_policy=policy(), reward_key=b"key"))
    shop.profile("anna", email="anna@example.com", marketing_consent=True, survey_consent=True)
    shop.views("anna", "S-1", launches_at=shop.now + timedelta(days=5))
    shop.after(days=6)
    shop.codes("spring-10", "A1")
    for _ in range(3):
        shop.order("anna", lines=(OrderLine("S-1", "Tea", "tea", 1, 50_000),))
        shop.parcel("anna", "shipped")
        shop.after(days=1)
        shop.parcel("anna", "delivered")
        shop.after(days=60)
    if flow.trigger.on in CATALOGUE_CHANGES:  # with a catalogue, emails without enough products are not sent
        for price in ("200 DKK", "100 DKK"):
            shop.product("S-2", price=price)
            shop.wishes("anna", "S-2")
            shop.after(days=1)
    outcomes = {outcome for _, outcome, _ in shop.why("anna")}
    assert outcomes & {"send", "exit"}, shop.why("anna")


def policy() -> ConsentPolicy:
    """Return the consent policy of the example of consent.yaml."""
    parsed = parse_policy(FILES["consent.yaml"])
    assert isinstance(parsed, ConsentPolicy), parsed
    return parsed


def test_every_other_file_is_valid() -> None:
    """The examples of segments.yaml, rules.yaml, consent.yaml, occasions.yaml and brand.yaml are read without an error."""
    assert isinstance(parse_segments(FILES["segments.yaml"]), dict)
    assert isinstance(parse_rules(FILES["rules.yaml"]), SendingRules)
    assert policy().line("review", "DE").verdict == "own_opt_in"
    assert parse_occasions(FILES["occasions.yaml"]).names == ("new-year", "easter", "mothers-day", "jubilee")
    assert isinstance(parse_brand(FILES["shared/brand.yaml"]), Brand)
    assert FILES.keys() == {
        "segments.yaml",
        "rules.yaml",
        "consent.yaml",
        "languages.yaml",
        "occasions.yaml",
        "copy/en.yaml",
        "shared/brand.yaml",
    }


def test_every_trigger_has_an_example() -> None:
    """The table of triggers has each once, with an example that is read without an error."""
    # `date` is a key too.
    table = [row for row in rows("Triggers") if row[0].strip("`") in TRIGGERS and "on: " in row[2]]
    assert sorted(row[0].strip("`") for row in table) == sorted(TRIGGERS)
    for name, _, example in table:
        word = name.strip("`")
        assert read(complete(f"trigger: {example.strip('`')}")).trigger.on == SYNONYMS.get(word, word)


def test_every_event_has_an_example() -> None:
    """The table of wait_for has each event once, with an example that is read without an error."""
    for example in EVENT_EXAMPLES:
        read(complete(f"- send: {{message: a}}\n- wait_for: {example}\n- send: {{message: b}}"))
    assert sorted(example.split()[1].strip(",") for example in EVENT_EXAMPLES) == sorted(AWAITED)


def test_every_exit_has_an_example() -> None:
    """The table of exit_on has each event once, with an example that is read without an error."""
    exits = [read(complete(f"trigger: {{on: order.placed}}\n{example}")).exit_on for example in EXIT_EXAMPLES]
    assert sorted(exits) == sorted((SYNONYMS.get(name, name),) for name in EXITS)


def test_every_name_of_conditions_has_an_example() -> None:
    """The tables of conditions have each name once, with its kind and an example that is read without an error."""
    table = {re.sub(r"\(.*", "", row[0].strip("`")): row[1:] for row in rows("Conditions")}
    open_kinds = {
        "field.<name>": "text or number",
        "customer.attributes.<name>": "text or number",
        "customer.dates.<name>": "text",
        **dict.fromkeys((*CALLS, DAYS_UNTIL), "number"),
    }
    assert table.keys() == {*NAMES, *open_kinds}
    for name, (kind, _, example) in table.items():
        assert kind == (open_kinds.get(name) or NAMES[name][0]), name
        assert name.removesuffix("<name>") in example
        compile_condition(example.strip("`"), Scope(segments=SEGMENTS))


def test_defaults_are_true() -> None:
    """The defaults in the tables are those of a flow without these keys."""
    flow = read(
        complete(
            "- send: {message: a, products: 2}\n- reward: {name: r}\n- wait: {until: product.runs_out}\n- send: {message: b}"
        )
    )
    steps: tuple[Any, ...] = flow.steps
    send, reward, wait, plain = steps
    assert (plain.priority, plain.expires, plain.products, plain.holdout) == (50, timedelta(days=5), 0, 0)
    assert send.at_least == 1
    assert (reward.expires, reward.within) == (timedelta(days=30), timedelta(days=1))
    assert (wait.clock, wait.until.lasts) == ("customer", timedelta(days=30))
    table = {row[0].strip("`"): row[1].strip("`") for row in rows("Steps")}
    assert [table[key] for key in ("priority", "expires", "within")] == ["50", "30d", "1d"]


def test_segments_and_rules_of_the_templates_are_valid() -> None:
    """segments.yaml and rules.yaml of the templates folder are read without an error."""
    assert isinstance(parse_segments((TEMPLATES / "segments.yaml").read_text()), dict)
    assert isinstance(parse_rules((TEMPLATES / "rules.yaml").read_text()), SendingRules)


def _names(data: Any) -> set[str]:
    """Return the names of all fields in the data of a message; those that the shop names, and those of amounts, are left out."""
    if isinstance(data, dict):
        inner = {
            name: value
            for name, value in data.items()
            if name not in ("attributes", "fields", "dates", "minor", "currency")
        }
        return {*data} - {"minor", "currency"} | set[str]().union(*map(_names, inner.values()))
    return set[str]().union(*map(_names, data)) if isinstance(data, list) else set()


def test_the_data_of_a_message() -> None:
    """LANGUAGE.md lists every field that a template can show."""
    section = LANGUAGE.partition("### Data of a message")[2].partition("\n## ")[0]
    flow = read(complete("- reward: {name: spring}\n- send: {message: a, products: 1, categories: 1}\n"))
    step = next(step for step in CompiledFlow(flow).steps.values() if isinstance(step, Send))
    named = {name for code in re.findall(r"`([^`]*)`", section) for name in re.findall(r"\w+", code)}
    assert _names(template_sample(flow, step, is_full=True)) - {"mood", "greeting", "local_time"} - named == set()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_examples_of_the_testing_kit_pass(code: str) -> None:
    """Each Python example of the guide runs without an error."""
    exec(code.replace('"templates"', repr(str(TEMPLATES))), {})
