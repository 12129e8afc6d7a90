"""The shipped templates for stacks in which a day lasts a second."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness.fixed_flows import FLOWS, templates_with


def patient_templates(folder: Path) -> Path:
    """Copy the shipped templates with `FLOWS` to `folder`, and return it.

    The flows start by events of any age: the three days of `max_age` would be three seconds, less than a restart takes. Their emails expire
    after two days at the earliest, because a test that stops a server stops it for more than a few hours. The shop knows the history of its
    customers, so that their first orders are first orders.
    """
    templates = templates_with(FLOWS, folder)
    for file in templates.glob("flows/*/*/flow.yaml"):
        text = re.sub(r"^max_age:.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"expires: (\d+h|1d)\b", "expires: 2d", text)
        file.write_text(text.replace("\ntrigger:", "\nmax_age: 4000d\ntrigger:", 1), encoding="utf-8")
    rules = templates / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("history: unknown", "history: complete"), encoding="utf-8")
    return templates
