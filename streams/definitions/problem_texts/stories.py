"""Problems: the stories of invented customers."""

from __future__ import annotations

from streams.definitions.problem_texts.entry import Entry

ENTRIES = {
    "story.E001": Entry("Not one kind", "Each event has exactly one kind.", "`{day: 3, delivered: }`"),
    "story.E002": Entry("Unknown product", "No `products.yaml` has this sku.", "add it to `stories/products.yaml`"),
    "story.E003": Entry(
        "Unknown or duplicate order",
        "An event names an order that does not exist, or two orders have one id.",
        "`id: second`",
    ),
    "story.E004": Entry("Order too late", "The order is placed after the event.", "change the day of one of them"),
    "story.E005": Entry("Invalid picture", "A picture is named without folder and ending.", "`picture: wool-socks`"),
    "story.E006": Entry("Invalid language", "The language is not a code of ISO 639.", "`language: da`"),
    "story.E007": Entry("Unknown time zone", "No time zone has this name.", "`time_zone: Europe/Oslo`"),
    "story.E008": Entry("Invalid email", "An email has the name of its flow and its message.", "`opens: review/ask`"),
    "story.E009": Entry("Invalid record", "The API would refuse the record.", "`record: {kind: cart_emptied}`"),
}
