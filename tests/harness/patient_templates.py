"""The shipped templates for stacks in which a day lasts a second."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from streams.settings import PROJECT_ROOT

#: The shipped flows that run in stacks. Others would only add emails to what a test counts, and flows that a test writes may have their names.
FLOWS = frozenset(
    {
        *("address-changed", "confirm-request", "delayed", "delivered", "delivery-problem", "order-cancelled"),
        *("order-changed", "order-confirmation", "order-refunded", "out-for-delivery", "payment-received", "pickup"),
        *("returned", "returned-to-sender", "shipment-confirmation"),
        *("thank-you", "nps", "review", "goes-well-with", "photo-contest"),
    }
)


def patient_templates(folder: Path) -> Path:
    """Copy the shipped templates with `FLOWS` to `folder`, and return it.

    The flows start by events of any age: the three days of `max_age` would be three seconds, less than a restart takes. Their emails expire
    after two days at the earliest, because a test that stops a server stops it for more than a few hours. The shop knows the history of its
    customers, so that their first orders are first orders.
    """
    templates = Path(shutil.copytree(PROJECT_ROOT / "templates", folder))
    for flow in templates.glob("flows/*/*"):
        if flow.name not in FLOWS:
            shutil.rmtree(flow)
    for file in templates.glob("flows/*/*/flow.yaml"):
        text = re.sub(r"^max_age:.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"expires: (\d+h|1d)\b", "expires: 2d", text)
        file.write_text(text.replace("\ntrigger:", "\nmax_age: 4000d\ntrigger:", 1), encoding="utf-8")
    rules = templates / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("history: unknown", "history: complete"), encoding="utf-8")
    return templates
