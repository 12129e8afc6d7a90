"""Reads templates, with `style.css` written into the HTML ones as style attributes: once a template, not once a mail.

Mail programs drop or half read style sheets, so the styles must sit on the elements; what cannot (dark mode) is in the layout's <style>.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import css_inline
from jinja2 import Environment, FileSystemLoader, TemplateSyntaxError

from streams.mail.rendering.template_folders import SHARED

STYLES = f"{SHARED}/style.css"
_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_MASK = re.compile(r"<!--takk(\d+)-->|takk(\d+)x")


class StyledLoader(FileSystemLoader):
    """A loader of files below `templates_dir` that inlines `templates_dir/shared/style.css`, if there is one.

    In an HTML template Jinja statements may stand between elements, never inside a tag, and a table has its <tbody>.
    """

    def __init__(self, templates_dir: Path) -> None:
        super().__init__(templates_dir)
        path = templates_dir / STYLES
        self._css = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._inliner = css_inline.CSSInliner(
            inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False, extra_css=self._css
        )

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The template's source, styled if it is HTML.

        Raises:
            TemplateSyntaxError: a Jinja statement stands where HTML has no place for it.
        """
        source, name, is_fresh = super().get_source(environment, template)
        if self._css and template.endswith(".html.j2"):
            source = self._styled(source, template)
        return source, name, is_fresh

    def _styled(self, source: str, template: str) -> str:
        found: list[str] = []

        def mask(match: re.Match[str]) -> str:
            found.append(match[0])
            number = len(found) - 1
            # A comment may stand between any two elements, as a statement does; a value stands where text does.
            return f"takk{number}x" if match[0].startswith("{{") else f"<!--takk{number}-->"

        masked = _JINJA.sub(mask, source)
        is_whole = "<html" in masked
        styled = self._inliner.inline(masked) if is_whole else self._inliner.inline_fragment(masked, self._css)
        back = [int(comment or value) for comment, value in _MASK.findall(styled)]
        if back != list(range(len(found))):
            raise TemplateSyntaxError(
                "a {% %} stands inside a tag, or in a table outside its <tbody> rows: move it between elements",
                1,
                template,
            )
        return _MASK.sub(lambda match: found[int(match[1] or match[2])], styled)
