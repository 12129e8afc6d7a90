"""A template loader that writes `style.css` into HTML templates as style attributes, once per template instead of once per email.

Email clients drop style sheets or support them partly, so each element carries its styles. Dark mode stays in the layout's <style>.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import css_inline
from jinja2 import Environment, FileSystemLoader, TemplateSyntaxError

from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.template_folders import SHARED

STYLES = f"{SHARED}/style.css"
_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_MASK = re.compile(r"<!--takk(\d+)-->|takk(\d+)x")
#: A mask between tags, or a tag.
_PARTS = re.compile(r"<!--takk\d+-->|takk\d+x|<[^>]*>")


class StyledLoader(FileSystemLoader):
    """A loader of the files below `templates_dir` that inlines `templates_dir/shared/style.css` if it exists.

    In an HTML template, Jinja statements are allowed between elements, but not inside a tag. A table needs a <tbody>. `var(--accent)` and
    the other values of the brand are filled in, in the style sheet and in HTML templates.
    """

    def __init__(self, templates_dir: Path, brand: EmailBrand) -> None:
        super().__init__(templates_dir)
        path = templates_dir / STYLES
        self._brand = brand
        self._css = brand.fill(path.read_text(encoding="utf-8")) if path.is_file() else ""
        self._inliner = css_inline.CSSInliner(
            inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False, extra_css=self._css
        )

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return a template's source, with inlined styles if it is HTML.

        Raises:
            TemplateSyntaxError: a Jinja statement is in a place that HTML does not allow.
        """
        source, name, is_fresh = super().get_source(environment, template)
        if template.endswith(".html.j2"):
            source = self._brand.fill(source)
            source = self._styled(source, template) if self._css else source
        return source, name, is_fresh

    def _styled(self, source: str, template: str) -> str:
        expressions: list[str] = []

        def mask(match: re.Match[str]) -> str:
            expressions.append(match[0])
            number = len(expressions) - 1
            # HTML allows a comment where a statement may be, between two elements, and text where a value may be.
            return f"takk{number}x" if match[0].startswith("{{") else f"<!--takk{number}-->"

        masked = _JINJA.sub(mask, source)
        is_document = "<html" in masked
        styled = self._inliner.inline(masked) if is_document else self._inliner.inline_fragment(masked, self._css)
        if _runs(styled) != _runs(masked):
            raise TemplateSyntaxError(
                "a {% %} is inside a tag, or in a table outside its <tbody> rows (hint: move it between elements)",
                1,
                template,
            )
        return _MASK.sub(lambda match: expressions[int(match[1] or match[2])], styled)


def _runs(masked: str) -> list[list[str]]:
    """Return the masks of each tag, sorted, and those between the tags: the inliner writes the attributes of a tag in an order of its own."""
    runs = ([match[0] for match in _MASK.finditer(part)] for part in _PARTS.findall(masked))
    return [sorted(masks) for masks in runs if masks]
