"""A shop that merges customers all the time, through the handler of the flows agent: records meet in any order, and the oracle judges."""

from __future__ import annotations

import random

import pytest

from streams.core.values.local_time import utc_from_ms
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from tests.crash.shop_actions import ShopActions, merge
from tests.harness.cluster import Cluster
from tests.harness.events import shop_ruleset

#: Length of a day: as in the stacks of the campaign, a day lasts a second.
DAY_S = 1.0
SECONDS, RATE = 8.0, 12.0


@pytest.mark.parametrize("seed", range(3))
def test_a_shop_that_merges_customers(seed: int) -> None:
    """Partitions lag behind each other at random: merged ids are one customer in the end, with each order and each email once."""
    rng = random.Random(seed)
    cluster = Cluster(shop_ruleset(day_scale=DAY_S / 86_400), choose=rng.randrange)
    actions = ShopActions(seed, DAY_S)
    for each in Shop(seed, RATE, DAY_S).records(utc_from_ms(cluster.now_ms), SECONDS):
        cluster.advance(max(0, round(each.at.timestamp() * 1000) - cluster.now_ms), most=rng.randrange(3))
        cluster.write(each.topic, each.record)
        more = actions.after(each.topic, each.record)
        if each.topic == topics.ORDERS and each.record["kind"] == "placed" and rng.random() < 0.5:
            more += merge(actions, each.at)
        for topic, record in more:
            cluster.write(topic, record)
        cluster.run(most=rng.choice((0, 0, 1, 3, 30)))
    cluster.run()
    cluster.advance(round(30_000 * DAY_S))
    verdict = cluster.verdict()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
    assert len(actions.merged) > 10
