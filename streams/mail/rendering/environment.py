"""The environment of templates: the sandbox with the filters of Takk."""

from __future__ import annotations

from jinja2 import BaseLoader, StrictUndefined

from streams.mail.rendering.filters import FILTERS
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.structured_data import STRUCTURED_DATA


def new_environment(loader: BaseLoader, *, autoescape: bool) -> Sandbox:
    """Return an environment whose templates are read once.

    Args:
        loader: finds the templates.
        autoescape: whether values are escaped for HTML.
    """
    environment = Sandbox(
        loader=loader,
        autoescape=autoescape,
        undefined=StrictUndefined,
        cache_size=-1,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**FILTERS, **STRUCTURED_DATA})
    return environment
