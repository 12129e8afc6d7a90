"""A small templates folder: one flow with two messages in two languages, and a brand."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.harness.commands import TEMPLATES

FLOW = "flows/care/hello"
_HTML = (
    '<!doctype html>\n<html lang="{{ language }}"><head><style>@media (prefers-color-scheme: dark) { p { color: #eeeeee } }</style></head>\n'
    '<body><div class="preview">{{ preview }}</div><p>{{ t("{name}.words") }} {{ customer.first_name }}</p>\n'
    '<img src="https://shop.example/tea.jpg" alt="Tea" width="80" height="80"><a href="{{ unsubscribe_url }}">x</a></body></html>\n'
)


def write_folder(root: Path) -> Path:
    """Write the folder, and return it."""
    home = root / FLOW
    (home / "copy").mkdir(parents=True)
    for name in ("hi", "bye"):
        (home / f"{name}.html.j2").write_text(_HTML.replace("{name}", name))
    for language, hi, bye in (("en", "Hello", "Goodbye"), ("da", "Hej", "Farvel")):
        texts = f"hi.subject: {hi} there\nhi.preview: A word\nhi.words: {hi}\nbye.subject: {bye}\nbye.preview: A word\nbye.words: {bye}\n"
        (home / "copy" / f"{language}.yaml").write_text(texts)
    (home / "example.json").write_text('{"customer": {"first_name": "Anna", "country": "DK"}}')
    (home / "flow.yaml").write_text(
        "flow: hello\nversion: 1\nstatus: live\npurpose: marketing # with consent\ntrigger: {on: order.placed}\n"
        "steps:\n  - send: {message: hi}\n  - wait: {days: 2}\n  - send: {message: bye}\n"
    )
    (root / "languages.yaml").write_text("languages: [en, da]\n")
    shutil.copyfile(TEMPLATES / "consent.yaml", root / "consent.yaml")
    (root / "shared").mkdir()
    (root / "shared" / "brand.yaml").write_text("name: Tea\nshop_url: https://tea.test/\n")
    return root
