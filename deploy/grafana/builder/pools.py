"""Code pools: discount codes that the shop provides, and customers who wait for one."""

from __future__ import annotations

from typing import Final

from deploy.grafana.builder.colors import GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, graph, number
from deploy.grafana.builder.promql import RANGE, largest, shop_series, total
from deploy.grafana.builder.screen import Row, Screen
from deploy.grafana.builder.tables import Column, rows

TILE: Final = Size(6, 4)
#: Shown by every panel of a shop whose flows use no code pool.
NO_POOL: Final = "no flow uses a code pool"
#: Days of stock: red below two days, as the alert, and yellow below a week.
DAYS: Final = ((None, RED), (2, YELLOW), (7, GREEN))
#: Two shops may have pools of the same name.
BY: Final = "shop, pool"
STOCK: Final = largest(shop_series("takk_pool_codes"), BY)
CLAIMS: Final = largest(shop_series("takk_pool_claims"), BY)


def granted(window: str) -> str:
    """Return the codes granted within `window`, by pool."""
    return total(f"increase({shop_series('takk_codes_granted_total')}[{window}])", BY)


#: The stock divided by the codes granted per day, at least a thousandth of a code, so that a pool without demand has a value; at most a year.
DAYS_LEFT: Final = f"clamp_max({STOCK} / clamp_min({granted('1d')}, 0.001), 365)"

SCREEN: Final = Screen(
    "takk-pools",
    "Code pools",
    "Are there enough discount codes, and does a customer wait for one?",
    (
        Row(
            "",
            (
                number(
                    "Customers waiting",
                    TILE,
                    About(
                        "Claims that no code pool can serve.",
                        "0.",
                        "Add codes to the pool. The waiting customers get theirs at once.",
                        ("TakkPoolEmpty",),
                    ),
                    "short",
                    Query(f"sum({CLAIMS})"),
                    steps=ZERO_IS_GOOD,
                    words={"0": ("none", GREEN)},
                    missing=NO_POOL,
                ),
                number(
                    "Pools that are empty",
                    TILE,
                    About(
                        "Code pools without a code.",
                        "0.",
                        "Add codes before customers wait.",
                        ("TakkPoolEmpty",),
                    ),
                    "short",
                    Query(f"sum({STOCK} == bool 0)"),
                    steps=ZERO_IS_GOOD,
                    words={"0": ("none", GREEN)},
                    missing=NO_POOL,
                ),
                number(
                    "Codes in stock",
                    TILE,
                    About(
                        "Codes of all pools, expired codes included.",
                        "Enough for two weeks or more.",
                        "Order new codes from the shop system.",
                        ("TakkPoolLow",),
                    ),
                    "short",
                    Query(f"sum({STOCK})"),
                    missing=NO_POOL,
                ),
                number(
                    "Codes granted, last day",
                    TILE,
                    About(
                        "Codes that customers received within the last day.",
                        "It follows the flows that give codes.",
                        "0 while claims wait: the pools are empty.",
                        see="takk-pipeline",
                    ),
                    "locale",
                    Query(f"sum({granted('1d')})"),
                    decimals=0,
                    missing=NO_POOL,
                ),
            ),
        ),
        Row(
            "By pool",
            (
                rows(
                    "Pools",
                    Size(24, 7),
                    About(
                        "Each code pool: its stock, the waiting claims, and the codes granted and expired within the time range. "
                        "It lasts for the days until it is empty at the demand of the last day.",
                        "The stock lasts for a week or more, and nobody waits.",
                        "Add codes to the pools with a red or yellow cell.",
                        ("TakkPoolEmpty", "TakkPoolLow"),
                    ),
                    "locale",
                    (
                        Column("shop", "Shop"),
                        Column("pool", "Pool"),
                        Column("Value #A", "In stock", "locale", decimals=0),
                        Column("Value #B", "Waiting", "locale", ZERO_IS_GOOD, decimals=0),
                        Column("Value #C", "Granted", "locale", decimals=0),
                        Column("Value #D", "Expired", "locale", decimals=0),
                        Column("Value #E", "Lasts for", "d", DAYS, decimals=0),
                    ),
                    Query(STOCK, instant=True),
                    Query(CLAIMS, instant=True),
                    Query(granted(RANGE), instant=True),
                    Query(total(f"increase({shop_series('takk_codes_expired_total')}[{RANGE}])", BY), instant=True),
                    Query(DAYS_LEFT, instant=True),
                    sort=("Lasts for", False),
                    missing=NO_POOL,
                ),
                graph(
                    "Stock by pool",
                    Size(8, 8),
                    About(
                        "Codes in stock by pool, expired codes included.",
                        "It falls slowly, and jumps when codes are added.",
                        "A steep fall: a campaign uses more codes than planned.",
                        ("TakkPoolLow",),
                    ),
                    "short",
                    Query(STOCK, "{{shop}}: {{pool}}"),
                    missing=NO_POOL,
                ),
                graph(
                    "Codes granted and expired per hour",
                    Size(8, 8),
                    About(
                        "Codes that customers received, and codes that had expired before a customer could receive them.",
                        "Granted codes follow the flows. No code expires.",
                        "Codes that expire: the pool is larger than the demand. Remove old codes from it.",
                    ),
                    "suffix:/h",
                    Query(granted("1h"), "granted, {{shop}}: {{pool}}"),
                    Query(
                        total(f"increase({shop_series('takk_codes_expired_total')}[1h])", BY),
                        "expired, {{shop}}: {{pool}}",
                    ),
                    missing=NO_POOL,
                ),
                graph(
                    "Customers waiting by pool",
                    Size(8, 8),
                    About(
                        "Claims that wait for a code, by pool.",
                        "0.",
                        "Add codes to this pool.",
                        ("TakkPoolEmpty",),
                    ),
                    "short",
                    Query(CLAIMS, "{{shop}}: {{pool}}"),
                    missing=NO_POOL,
                ),
            ),
        ),
    ),
    variables=("shop",),
)
