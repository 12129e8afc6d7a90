"""Problems: conditions of flows and segments."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "condition.E001": Entry("Empty condition", "The condition has no text.", "`where: customer.orders == 1`"),
    "condition.E002": Entry(
        "Nested too deeply", "The condition has too many levels.", "move parts of it to `segments.yaml`"
    ),
    "condition.E003": Entry("Not a condition", "The expression is not true or false.", "`customer.orders == 1`"),
    "condition.E004": Entry(
        "Invalid expression", "The expression cannot be parsed.", "`customer.is_vip and order.total > 100`"
    ),
    "condition.E005": Entry("Unexpected text", "The expression continues after its end.", "`customer.orders == 1`"),
    "condition.E006": Entry(
        "Not allowed",
        "Conditions have only a part of Jinja's expressions: no calculations, calls or filters.",
        "`order.total > 100`",
    ),
    "condition.E007": Entry("Minus without a number", "`-` is only allowed before a number.", "`order.discount > -5`"),
    "condition.E008": Entry("Invalid name", "A name has two parts and a dot.", "`customer.orders`"),
    "condition.E009": Entry("Unknown name", "The name does not exist.", "see [Conditions](#conditions)"),
    "condition.E010": Entry(
        "Name not available",
        "The name exists, but has no value at this place. Without an order there is no `order.total`.",
        "`once_per: product` for `product.*`",
    ),
    "condition.E011": Entry(
        "Segment in a segment",
        "The condition of a segment cannot use `customer.segments`.",
        "repeat the condition of the other segment",
    ),
    "condition.E012": Entry(
        "Operand is not a condition",
        "`and`, `or` and `not` need something that is true or false.",
        "`customer.is_vip and order.total > 100`",
    ),
    "condition.E013": Entry(
        "Invalid list", "A list can contain only numbers and texts.", "`customer.country in ['DK', 'SE']`"
    ),
    "condition.E014": Entry("Unknown segment", "`segments.yaml` has no such segment.", "add it to `segments.yaml`"),
    "condition.E015": Entry(
        "Invalid use of `in`",
        "`in` has a text or a number to its left and a list to its right.",
        "`'tea' in order.categories`",
    ),
    "condition.E016": Entry("Different kinds", "A number never equals a text.", "`customer.country == 'DK'`"),
    "condition.E017": Entry(
        "Not comparable", "Only numbers can be compared with `<`, `<=`, `>` and `>=`.", "`customer.country != 'DK'`"
    ),
    "condition.E018": Entry(
        "Number out of range", "Numbers in conditions have at most 15 digits.", "`order.total > 100`"
    ),
    "condition.E019": Entry(
        "Invalid call",
        "The name is called with a period, a category in quotes, or both; other calls with texts in quotes.",
        '`customer.orders_in(90d, "tea") >= 2`',
    ),
    "condition.E020": Entry(
        "Invalid period",
        "A period is a number and `h`, `d`, `w` or `y` (365 days), up to two years.",
        "`customer.spend_in(1y) >= 5000`",
    ),
    "condition.E021": Entry(
        "More orders than remembered",
        "Takk remembers the newest 40 purchases of a customer, and 8 of each category.",
        "`customer.orders_in(1y) >= 20`",
    ),
    "condition.E022": Entry("Unknown weekday", "No day has this name.", "`order.weekday in ['sat', 'sun']`"),
    "condition.E023": Entry(
        "Number that never occurs",
        "Months are 1 to 12, hours 0 to 23 and rounds those of the `repeat`, and the first number of a range is the smaller one.",
        "`today.hour >= 22 or today.hour < 6`",
    ),
}
