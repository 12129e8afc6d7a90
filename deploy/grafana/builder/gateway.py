"""The gateway: requests of customers and shops, and the spool that keeps their records while Kafka is away."""

from __future__ import annotations

from functools import partial
from typing import Final

from deploy.grafana.builder.colors import GREEN, RED, YELLOW, ZERO_IS_GOOD
from deploy.grafana.builder.panels import About, Query, Size, graph, number
from deploy.grafana.builder.promql import age, increase, largest, quantile, rate, series, total
from deploy.grafana.builder.screen import Row, Screen

TILE: Final = Size(6, 4)
#: Shown by panels of a shop without a gateway.
NO_GATEWAY: Final = "no gateway runs"
SECONDS: Final = "takk_gateway_request_seconds"
#: 0 while there are no requests.
FAILED: Final = (
    f"{total(increase('takk_gateway_requests_total', window='15m', status='5xx'))}"
    f" / clamp_min({total(increase('takk_gateway_requests_total', window='15m'))}, 1)"
)

#: A graph that says so if no gateway runs.
_graph: Final = partial(graph, missing=NO_GATEWAY)

SCREEN: Final = Screen(
    "takk-gateway",
    "Gateway",
    "Are customers' requests answered, and are their records on Kafka or in a spool?",
    (
        Row(
            "",
            (
                number(
                    "Requests that failed, last 15 minutes",
                    TILE,
                    About(
                        "Share of requests answered with an error of the gateway (5xx).",
                        "0 %.",
                        "503: neither Kafka nor the spool took the records. 500: read the log of the gateway for the request id.",
                        ("TakkGatewayErrors",),
                    ),
                    "percentunit",
                    Query(FAILED),
                    steps=((None, GREEN), (0.001, YELLOW), (0.05, RED)),
                    decimals=1,
                    missing=NO_GATEWAY,
                ),
                number(
                    "Records in spools",
                    TILE,
                    About(
                        "Records of answered requests that are not on Kafka yet.",
                        "0. After an outage of Kafka it falls to 0 within seconds.",
                        "Kafka is away, or refuses the records. They are safe, but unsubscriptions in them have no effect yet.",
                        ("TakkGatewaySpool", "TakkGatewaySpoolFull"),
                    ),
                    "short",
                    Query(total(series("takk_gateway_spool_records"))),
                    steps=ZERO_IS_GOOD,
                    words={"0": ("none", GREEN)},
                    missing=NO_GATEWAY,
                ),
                number(
                    "Age of the oldest record in a spool",
                    TILE,
                    About(
                        "Time since the oldest record in a spool was accepted.",
                        "0.",
                        "The time since which Kafka takes no records of that gateway.",
                        ("TakkGatewaySpool",),
                    ),
                    "s",
                    Query(
                        f"max({age('(' + series('takk_gateway_spool_oldest_timestamp_seconds') + ' > 0)')}) or "
                        f"0 * max({series('takk_gateway_spool_oldest_timestamp_seconds')})"
                    ),
                    steps=((None, GREEN), (60, YELLOW), (300, RED)),
                    missing=NO_GATEWAY,
                ),
                number(
                    "Invalid links, last hour",
                    TILE,
                    About(
                        "Requests with a token that is damaged, expired, or of another key or shop.",
                        "A few: programs that shorten links, and people who try.",
                        "Many of unknown_key or foreign_shop: the mailer and the gateway have different secrets or shop ids.",
                        ("TakkGatewayLinksInvalid",),
                    ),
                    "locale",
                    Query(total(increase("takk_gateway_bad_links_total", window="1h"))),
                    decimals=0,
                    missing=NO_GATEWAY,
                ),
            ),
        ),
        Row(
            "Requests",
            (
                _graph(
                    "Requests by route",
                    Size(12, 8),
                    About(
                        "Requests per second, by route.",
                        "It follows the emails that were sent, with a peak within the first hour.",
                        "No opens and clicks while emails leave: the proxy or the name in TAKK_MAIL_BASE_URL does not lead here.",
                    ),
                    "reqps",
                    Query(total(rate("takk_gateway_requests_total"), "route"), "{{route}}"),
                ),
                _graph(
                    "Answers by status",
                    Size(12, 8),
                    About(
                        "Answers per second, by the class of their status.",
                        "2xx and 3xx, and a few 4xx.",
                        "4xx: invalid links, and addresses that send too much. 5xx: see the first panel.",
                        ("TakkGatewayErrors",),
                    ),
                    "reqps",
                    Query(total(rate("takk_gateway_requests_total"), "status"), "{{status}}"),
                ),
                _graph(
                    "Time to an answer",
                    Size(12, 8),
                    About(
                        "Time from the headers of a request to its answer, with the acknowledgement of Kafka in it.",
                        "Some milliseconds.",
                        "Kafka acknowledges slowly, or the process needs more CPU: start another gateway.",
                        see="takk-resources",
                    ),
                    "s",
                    Query(quantile(0.5, SECONDS), "median"),
                    Query(quantile(0.99, SECONDS), "99 %"),
                ),
                _graph(
                    "Refused requests",
                    Size(12, 8),
                    About(
                        "Requests per minute that were refused: by the reason of an invalid link, for too many requests of one address, or because "
                        "nothing took their records.",
                        "A few invalid links.",
                        "Too many requests of your own proxy: list it in TAKK_GATEWAY_TRUSTED_PROXIES.",
                        ("TakkGatewayLinksInvalid", "TakkGatewayErrors"),
                    ),
                    "suffix:/min",
                    Query(f"60 * {total(rate('takk_gateway_bad_links_total'), 'reason')}", "{{reason}}"),
                    Query(f"60 * {total(rate('takk_gateway_limited_total'))}", "too many requests"),
                    Query(f"60 * {total(rate('takk_gateway_unavailable_total'))}", "unavailable"),
                ),
            ),
        ),
        Row(
            "Records",
            (
                _graph(
                    "Records by topic",
                    Size(12, 8),
                    About(
                        "Records of answered requests per second, by topic.",
                        "It follows the requests.",
                        "None while requests are answered: they are repeats, or nothing takes the records.",
                    ),
                    "suffix:/s",
                    Query(total(rate("takk_gateway_records_total"), "topic"), "{{topic}}"),
                ),
                _graph(
                    "Repeats and losses",
                    Size(12, 8),
                    About(
                        "Opens and clicks per minute that made no record: repeats within a minute, and those that neither Kafka nor the spool took. "
                        "And records that Kafka refuses for good, and damaged records of a spool.",
                        "Only repeats.",
                        "Not recorded: customers got their page, but reports lack the click. Refused or damaged: read the log.",
                        ("TakkGatewaySpoolFull",),
                    ),
                    "short",
                    Query(f"60 * {total(rate('takk_gateway_repeats_total'))}", "repeats"),
                    Query(f"60 * {total(rate('takk_gateway_unrecorded_total'), 'kind')}", "not recorded: {{kind}}"),
                    Query(f"60 * {total(rate('takk_gateway_refused_records_total'))}", "refused by Kafka"),
                    Query(total(series("takk_gateway_spool_damaged_requests")), "damaged in spools, in total"),
                ),
                _graph(
                    "Invalid records of the API",
                    Size(24, 6),
                    About(
                        "Records per minute that the JSON API refused as invalid, by endpoint. Their senders got the reasons.",
                        "None.",
                        "Ask the shop that sends: the answer to each record names the field and says what to do.",
                    ),
                    "suffix:/min",
                    Query(f"60 * {total(rate('takk_gateway_invalid_records_total'), 'endpoint')}", "{{endpoint}}"),
                ),
                _graph(
                    "Spool",
                    Size(8, 8),
                    About(
                        "Size of each spool, with the limit.",
                        "0.",
                        "It reaches the limit: the gateway answers 503 from then on.",
                        ("TakkGatewaySpoolFull",),
                    ),
                    "bytes",
                    Query(largest(series("takk_gateway_spool_bytes"), "instance"), "{{instance}}"),
                    Query(largest(series("takk_gateway_spool_limit_bytes")), "limit"),
                    dashed=("limit",),
                ),
                _graph(
                    "Into and out of spools",
                    Size(8, 8),
                    About(
                        "Records per second that were written to spools, and that were published from them. And gateways that write to theirs.",
                        "0.",
                        "Written and not published: Kafka is away.",
                        ("TakkGatewaySpool",),
                    ),
                    "short",
                    Query(total(rate("takk_gateway_spooled_records_total")), "written"),
                    Query(total(rate("takk_gateway_replayed_records_total")), "published"),
                    Query(total(series("takk_gateway_spooling")), "gateways that spool"),
                ),
                _graph(
                    "Customer pages",
                    Size(8, 8),
                    About(
                        "Customers of whom each gateway can show a page, and the seconds since it last read all of them.",
                        "The same number on all gateways, and some seconds.",
                        "An age that grows: the gateway does not read the topic customer-pages, and shows old answers.",
                        ("TakkGatewayPagesStale",),
                    ),
                    "short",
                    Query(largest(series("takk_gateway_customer_pages"), "instance"), "customers, {{instance}}"),
                    Query(
                        age(f"({series('takk_gateway_customer_pages_read_timestamp_seconds')} > 0)"),
                        "seconds, {{instance}}",
                    ),
                ),
            ),
        ),
    ),
    variables=("shop", "instance"),
)
