"""The blocks of the shared templates: each has a text, all of them are styled in both modes, and their emails are small."""

from __future__ import annotations

import re

import pytest
import yaml
from msgspec.structs import replace

from streams.definitions.checks.outlook import outlook_problems
from streams.definitions.checks.shop_brand import brand_of
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.mail.rendering.template_folders import shared_templates
from tests.harness import all_blocks
from tests.harness.commands import SENDER, TEMPLATES, command, example

BLOCKS = TEMPLATES / "shared" / "blocks"
LANGUAGES = yaml.safe_load((TEMPLATES / "languages.yaml").read_text(encoding="utf-8"))["languages"]
GMAIL_CUTS_AT = 102_000
#: Classes whose colors are the same in dark mode: the band of a layout, and what nobody reads.
SAME_IN_DARK = {".band", ".band h1", ".band .eyebrow", ".preview"}


@pytest.fixture(scope="module")
def emails(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RenderedEmail]:
    """An email with all blocks in each language."""
    root = all_blocks.write_message(tmp_path_factory.mktemp("blocks"))
    renderer = Renderer(root, brand_of(root), is_strict=True)
    found = {}
    for language in LANGUAGES:
        order = command(
            flow="blocks", message="all", purpose="marketing", locale=language, context=all_blocks.data(), tracking=True
        )
        found[language] = renderer.render(order, SENDER.links(order))
    return found


def test_all_blocks_are_known() -> None:
    """The tests know each block, and each one that shows a text has it in the text part too."""
    files = {path.name for path in BLOCKS.iterdir()}
    assert {name.removesuffix(".html.j2") for name in files if name.endswith(".html.j2")} == all_blocks.ALL
    assert {f"{name}.txt.j2" for name in all_blocks.ALL - all_blocks.WITHOUT_TEXT} == {
        name for name in files if name.endswith(".txt.j2")
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language(emails: dict[str, RenderedEmail], language: str) -> None:
    """Each language has all texts; the email declares it, is small, and has the markup that Outlook needs."""
    email = emails[language]
    assert f'<html lang="{language}" dir="ltr"' in email.html
    assert len(email.html.encode()) < GMAIL_CUTS_AT
    assert list(outlook_problems(email.html)) == []
    assert "var(--" not in email.html


def test_both_parts_say_the_same(emails: dict[str, RenderedEmail]) -> None:
    """Both parts have the amounts, addresses, dates, products and codes of the data."""
    email = emails["da"]
    html = re.sub(r"<[^>]*>", " ", email.html.replace("\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " "))
    text = email.text.replace("\N{NO-BREAK SPACE}", " ")
    for shown in (
        "Uldsokker", "250,00 kr.", "633,10 kr.", "−64,90 kr.", "49,00 kr.", "Gebyr", "10,00 kr.", "Nørregade 1", "1165 København K",
        "Kiosken", "4711", "mandag den 30. november 2026", "onsdag den 25. november 2026", "PostNord", "DK123", "HEJ10-ABCD",
        "torsdag den 24. december 2026", "Snørebånd", "199,00 kr.", "Lædersål", "0,5", "Two", "Bo, Aarhus", "Refunderet", "126,62 kr.",
    ):  # fmt: skip
        assert shown in html, shown
        assert shown in text, shown


def test_missing_picture_leaves_no_hole(emails: dict[str, RenderedEmail]) -> None:
    """A line or a product without a picture shows the first letter of its name, and no picture has an empty address."""
    html = emails["en"].html
    assert re.search(r'<td class="tile"[^>]*>L</td>', html)
    assert re.search(r'<td class="big-tile"[^>]*>V</td>', html)
    assert 'src=""' not in html


def test_order_without_pictures() -> None:
    """If no line has a picture, the lines have no column for it."""
    context = all_blocks.data()
    for line in context["order"]["lines"]:
        line["image_url"] = ""
    order = command(context=context)
    html = Renderer(TEMPLATES, brand_of(TEMPLATES)).render(order, SENDER.links(order)).html
    assert 'class="tile"' not in html
    assert 'class="thumb-cell"' not in html


@pytest.mark.parametrize("ending", ["html", "text"])
def test_help_does_not_ask_twice(ending: str) -> None:
    """If the email asks for an answer itself, the block with help shows only the other ways to get it, and nothing without any."""
    order = command(flow="nps", message="sorry", purpose="survey", locale="en", context=example("nps", "sorry"))
    brand = brand_of(TEMPLATES)
    shown = getattr(Renderer(TEMPLATES, brand).render(order, SENDER.links(order)), ending)
    assert "Need a hand?" in shown
    assert "help@shop.example" in shown
    assert "Just reply to this email and" not in shown
    silent = replace(
        brand, details={country: replace(each, email="", help_url="") for country, each in brand.details.items()}
    )
    assert "Need a hand?" not in getattr(Renderer(TEMPLATES, silent).render(order, SENDER.links(order)), ending)


def rules(styles: str) -> dict[str, str]:
    """The declarations of each selector of a style sheet."""
    styles = re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL)
    found: dict[str, str] = {}
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", styles):
        for selector in selectors.split(","):
            found[selector.strip()] = found.get(selector.strip(), "") + declarations
    return found


def elements_of(selector: str) -> set[str]:
    """The kinds of elements that have the class of a selector, if all of them are paragraphs or headlines."""
    name = re.escape(selector.rpartition(".")[2])
    found = set()
    for path in [*shared_templates(TEMPLATES), *TEMPLATES.glob("flows/*/*/*.html.j2")]:
        found |= set(re.findall(rf'<(\w+)[^>]*class="(?:[^"]* )?{name}(?: [^"]*)?"', path.read_text(encoding="utf-8")))
    return found if found <= {"p", "h1", "h2"} else set()


@pytest.mark.parametrize("part", ["color", "background", "border"])
def test_dark_mode_knows_every_color(part: str) -> None:
    """Each class with a color, a background or a border in style.css has another one in the dark mode of the layout."""
    light = rules((TEMPLATES / "shared" / "style.css").read_text(encoding="utf-8"))
    layout = (TEMPLATES / "shared" / "layout.html.j2").read_text(encoding="utf-8")
    dark = rules(layout.partition("prefers-color-scheme: dark) {")[2].partition("@media")[0])
    has = re.compile(
        {
            "color": r"(?<![-\w])color:",
            "background": r"background:",
            "border": r"border(-top|-left|-bottom)?: [^;]*var\(",
        }[part]
    )
    sets = re.compile({"color": r"(?<![-\w])color:", "background": r"background:", "border": r"border[-\w]*:"}[part])
    # A link is styled by the class around it, or by `.inside a`.
    shown = {name for name, declarations in light.items() if has.search(declarations)} - SAME_IN_DARK - {"a"}
    known = {name.rpartition(" ")[2] for name, declarations in dark.items() if sets.search(declarations)}
    assert {name for name in shown if not {name.rpartition(" ")[2], *elements_of(name)} & known} == set()


@pytest.mark.parametrize("ending", ["html", "txt"])
def test_no_products(ending: str) -> None:
    """A block of products shows nothing without products, and does not stop the email."""
    renderer = Renderer(TEMPLATES, brand_of(TEMPLATES), is_styled=False, is_strict=True)
    assert renderer.environment.get_template(f"shared/blocks/products.{ending}.j2").render(products=[]).strip() == ""
