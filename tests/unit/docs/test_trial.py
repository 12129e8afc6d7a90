"""templates/TRIAL.md: its changes fit the templates that Takk comes with, and lead to a folder without errors whose tests pass."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from streams.definitions.all_problems import check_all
from streams.definitions.layers import open_layers
from streams.tools.preview.folder_checks import run_tests
from streams.tools.preview.new_flow import copy_flow
from streams.tools.preview.shop_folder import copy_to_shop, init_folder
from tests.harness.commands import TEMPLATES

PAGE = (TEMPLATES / "TRIAL.md").read_text(encoding="utf-8")


def follow(command: str, shop: Path) -> None:
    """Do what a command of the page does to the folder of the shop. Commands that only show something do nothing."""
    words = command.replace('"', "").split()

    def values(option: str) -> tuple[str, ...]:
        return tuple(after for word, after in pairwise(words) if word == option)

    match words[:3]:
        case ["takk", "templates", "init"]:
            is_layer = "--layer" in words
            init_folder(TEMPLATES, shop, values("--name")[0], values("--live"), values("--language"), is_layer=is_layer)
        case ["takk", "templates", "copy"]:
            copy_to_shop(TEMPLATES, shop, words[3])
        case ["takk", "flows", "new"]:
            copy_flow(TEMPLATES, values("--from")[0], shop, words[3])
        case ["perl", *_]:
            path = shop / "shared" / "brand.yaml"
            path.write_text(
                path.read_text(encoding="utf-8").replace("shop.example", "nordlys.example"), encoding="utf-8"
            )
        case ["cp", source, target]:
            (shop / target.removeprefix("~/shop/")).write_bytes((TEMPLATES.parent / source).read_bytes())


def change_lines(rest: str, text: str) -> str:
    """Return a text after the changes of a diff, whose parts must each be in it once."""
    for part in rest.split("@@\n"):
        lines = part.splitlines()
        old, new = ("".join(f"{line[1:]}\n" for line in lines if line[0] in signs) for signs in (" -", " +"))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def change_texts(rest: str, text: str) -> str:
    """Return a copy file with other texts. Each must be in it."""
    for line in rest.splitlines():
        key = line.partition(":")[0]
        assert len(re.findall(rf"^{re.escape(key)}:", text, re.MULTILINE)) == 1, key
        text = re.sub(rf"^{re.escape(key)}:.*$", lambda _, line=line: line, text, flags=re.MULTILINE)
    return text


def test_the_trial_can_be_followed(tmp_path: Path) -> None:
    """The commands and changes of the page, in their order, lead to a folder without errors whose tests pass."""
    shop = tmp_path / "shop"
    for kind, body in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL):
        head, _, rest = body.partition("\n")
        if kind == "sh":
            for command in body.splitlines():
                follow(command, shop)
        elif kind == "python":
            tests = shop / "tests" / "test_flows.py"
            tests.write_text(f"{tests.read_text(encoding='utf-8')}\n\n{body}", encoding="utf-8")
        else:
            path = shop / head.partition("~/shop/")[2]
            change = change_lines if kind == "diff" else change_texts
            path.write_text(change(rest, path.read_text(encoding="utf-8")), encoding="utf-8")
    with open_layers(shop) as layers:
        checked = check_all(layers, datetime.now(UTC))
    assert checked.errors == ()
    assert [warning.id for warning in checked.warnings] == ["brand.W002", "brand.W005"]
    result = run_tests(shop / "tests")
    assert (result.passed, result.failures) == (4, ())
