"""The places of errors in templates."""

from __future__ import annotations

from jinja2 import TemplateSyntaxError


def template_of(error: BaseException) -> tuple[str, int] | None:
    """Return file and line of the innermost template that an error comes from; None if it comes from no file."""
    if isinstance(error, TemplateSyntaxError) and error.filename is not None:
        return error.filename, error.lineno
    found, trace = None, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None and template.filename not in (None, "<template>"):
            found = (str(template.filename), template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found
