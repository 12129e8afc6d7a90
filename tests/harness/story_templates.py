"""A small templates folder for stories: flows that start, wait, branch, do not apply, and are drafts."""

from __future__ import annotations

from pathlib import Path

from tests.harness.small_templates import FLOW, write_folder

#: The first lines of each flow -> its steps. `hello` is the flow of the small folder.
_FLOWS = {
    "review": (
        "purpose: review\nstatus: live\ntrigger: {on: shipment.delivered, once_per: order}\nexit_on: [order.refunded]",
        "- wait: {days: 2}\n  - split:\n      - when: customer.is_new\n        steps:\n          - send: {message: hi}\n"
        "      - otherwise:\n          - send: {message: bye}",
    ),
    "home-delivery": (
        "purpose: order\nstatus: live\ntrigger: {on: shipment.delivered, which: each, once_per: parcel, where: not order.is_pickup}",
        "- send: {message: hi}\n  - send: {message: bye}",
    ),
    "later": (
        "purpose: marketing\nstatus: draft\ntrigger: {on: order.placed}",
        "- send: {message: hi}\n  - send: {message: bye}",
    ),
}
STORY = """\
title: A pickup
about: Two orders, one of them collected.
customer: {name: Ada Holm, language: da, country: DK, city: Aarhus, consent: {marketing: true, review: true}}
events:
  - {day: 0, at: "10:00", order: {lines: {TEA: 2}}}
  - {day: 2, at: "12:00", delivered: }
  - {day: 5, at: "21:30", order: {id: second, lines: {TEA: 1}, delivery: pickup}}
  - {day: 6, at: "09:00", opens: review/hi}
  - {day: 7, at: "12:00", delivered: {order: second}}
  - {day: 8, at: "08:00", refunded: }
  - {day: 9, at: "08:00", unsubscribes: marketing}
"""
RULES = 'quiet_hours: {from: "21:00", to: "08:00"}\ncalm: {while_late: true}\n'
PRODUCTS = "- {sku: TEA, title: {en: Tea, da: Te}, price: 100}\n"


def write_story_templates(root: Path) -> Path:
    """Write the folder with a story `ada`, and return it."""
    write_folder(root)
    home = root / FLOW
    for name, (head, steps) in _FLOWS.items():
        folder = home.parent / name
        (folder / "copy").mkdir(parents=True)
        for path in (*home.glob("*.j2"), *home.glob("copy/*")):
            (folder / path.relative_to(home)).write_text(path.read_text())
        (folder / "flow.yaml").write_text(f"flow: {name}\nversion: 1\n{head}\nsteps:\n  {steps}\n")
    (root / "rules.yaml").write_text(RULES)
    (root / "stories").mkdir()
    (root / "stories" / "ada.yaml").write_text(STORY)
    (root / "stories" / "products.yaml").write_text(PRODUCTS)
    return root
