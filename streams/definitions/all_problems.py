"""Every problem of a templates folder: what `takk flows check` prints, and what the preview shows beside each message."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from streams.definitions.checks.advertising import check_advertising
from streams.definitions.checks.campaigns import check_past_campaigns
from streams.definitions.checks.messages import check_messages
from streams.definitions.checks.occasions import check_occasions
from streams.definitions.checks.rendered_emails import check_rendered_emails
from streams.definitions.checks.unused_copy import check_unused_copy
from streams.definitions.file_sizes import check_file_sizes
from streams.definitions.layers import Layers, open_layers
from streams.definitions.loader import Templates, brand_problems, read_templates
from streams.definitions.problems import Problem


class CheckedTemplates(Struct, frozen=True):
    """A templates folder with all of its problems.

    Attributes:
        templates: its flows, segments and rules.
        errors, warnings: the problems of flows, brand and messages.
    """

    templates: Templates
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_all(templates_dir: Path | Layers, now: datetime) -> CheckedTemplates:
    """Return the content of a templates folder with all of its problems. Every message is rendered in every language.

    Args:
        templates_dir: the templates folder.
        now: the current time, UTC: campaigns before it are over.
    """
    if not isinstance(templates_dir, Layers):
        with open_layers(templates_dir) as layers:
            return check_all(layers, now)
    layers, root = templates_dir, templates_dir.path
    templates = read_templates(layers)
    sizes = check_file_sizes(layers.shop) if layers.shop.is_dir() else ()
    files = layers.shown((*brand_problems(root), *check_occasions(root)))
    errors = (
        *templates.errors,
        *sizes,
        *(problem for problem in files if problem.level == "error"),
        *layers.shown(check_messages(root, templates.flows)),
    )
    warnings = (
        *templates.warnings,
        *(problem for problem in files if problem.level == "warning"),
        *layers.shown(check_advertising(root, templates.flows)),
        *layers.shown(check_rendered_emails(root, templates.flows)),
        *layers.shown(check_past_campaigns(root, templates.newest, now)),
        *layers.shown(check_unused_copy(root) if templates.flows else ()),
    )
    return CheckedTemplates(templates, errors, warnings)
