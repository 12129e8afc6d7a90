"""The legal lines of emails: those that Takk comes with name no company, so emails that need them by law wait."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from streams.definitions.checks.shop_brand import PLACEHOLDER
from streams.definitions.loader import brand_problems
from streams.endpoints import is_loopback
from streams.settings import Settings


def placeholder_problem(templates_dir: Path) -> str:
    """Return the line of the problem that the legal lines of the brand are those of the example, or "" if they are not."""
    problems = brand_problems(templates_dir)
    return next((str(problem) for problem in problems if problem.id == PLACEHOLDER), "")


def reaches_customers(settings: Settings) -> bool:
    """Return whether emails can be meant for customers: their links lead to another machine. The demo and a trial have local links."""
    return not is_loopback(urlsplit(settings.mail_base_url).hostname)
