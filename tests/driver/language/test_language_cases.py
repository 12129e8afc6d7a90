"""The cases of the language on the driver, in `takk simulate` and in `takk why`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from streams.core.model.events import Event
from streams.core.offers.product_changes import ProductVersion, version_of
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from streams.wire import topics
from tests.driver.cases import CASES, CODEC, DECODER, Case
from tests.driver.language_cases import LANGUAGE_CASES, language_ruleset, language_run
from tests.harness.driver import START


@pytest.mark.parametrize("case", [*CASES, *LANGUAGE_CASES], ids=lambda case: case.name)
def test_case(case: Case) -> None:
    """The events of a case give exactly the emails, decisions, attributions and claims of the table; each decision has a text for `takk why`."""
    run = language_run(case).finish()
    assert run.mails == list(case.mails)
    assert run.not_sent == case.not_sent
    assert (run.ordered, run.claims) == (case.ordered, case.claims)
    assert {rule for _, _, rule in run.decisions} <= RULES.keys()


@pytest.mark.parametrize("case", LANGUAGE_CASES, ids=lambda case: case.name)
def test_simulated(case: Case) -> None:
    """`takk simulate` counts the emails of the table, changes of the catalogue included, and the decisions that send none."""
    events: list[tuple[datetime, Event]] = []
    versions: list[ProductVersion] = []
    for each in case.events:
        at = START + timedelta(days=each.at)
        value = CODEC.encode(topics.SCHEMA_OF[each.topic], each.record(case.name, at, {}))
        if each.topic == topics.PRODUCTS:
            versions.append(version_of(*DECODER.dated_product(value), len(versions)))
        else:
            events.append((at, DECODER.event(each.topic, each.key(case.name).encode(), value, 0)))
    found = simulate(language_ruleset(), History(events), case.days, versions=versions)
    assert found.by_flow == Counter(f"{flow}/{message}" for flow, message in case.mails)
    not_sent = {f"{flow} {outcome} {rule}" for flow, outcome, rule in case.not_sent if outcome != "defer"}
    assert {name for name in found.not_sent if not name.endswith(" where")} == not_sent
    assert found.deferred.keys() == {f"{flow} {rule}" for flow, outcome, rule in case.not_sent if outcome == "defer"}
