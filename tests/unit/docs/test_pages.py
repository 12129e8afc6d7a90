"""Commands, targets, metrics, files and folders that pages name exist."""

from __future__ import annotations

import re
import subprocess

import click
import pytest

from streams.observability import metrics
from streams.settings import PROJECT_ROOT as ROOT
from streams.tools.cli.main import main
from streams.wire.topics import DUE_AT_HEADER

#: Paths that are created at run time, or that are relative to the folder of a flow.
ELSEWHERE = (".takk/", "copy/", "runs/", "deploy/secrets/", "tests/deploy/")


def pages() -> list[str]:
    """Return the pages of the repository."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def text(name: str) -> str:
    """Return the text of a file."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", pages())
def test_commands_exist(name: str) -> None:
    """Each `takk ...` is a command, and each option given to it is one of its options."""
    for line in re.findall(r"(?:`|/|^)takk ([^`\n#]+)", text(name), re.M):
        command: click.Command = main
        for word in line.split():
            if word.startswith("--"):
                assert word in {"--help", *(name for option in command.params for name in option.opts)}, line
            elif isinstance(command, click.Group) and not word.startswith(("<", "[", "OPTIONS", "COMMAND")):
                assert word in command.commands, line
                command = command.commands[word]


@pytest.mark.parametrize("name", pages())
def test_make_targets_exist(name: str) -> None:
    """Each `make ...` is a target, and the Makefile reads each variable given to it."""
    makefile = text("Makefile")
    for target, variable in re.findall(r"(?:`|^)(?:[A-Z_]+=\w+ )?make ([a-z]+)(?: ([A-Z]+)=)?", text(name), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
        assert not variable or f"$({variable})" in makefile, variable


@pytest.mark.parametrize("name", pages())
def test_metrics_exist(name: str) -> None:
    """Each metric is in `streams/observability/metrics.py`."""
    known = {sample for metric in metrics.ALL for sample in (metric._name, f"{metric._name}_total")}
    others = {"takk_times", DUE_AT_HEADER}  # a field of the results of a benchmark, and a header of commands
    assert set(re.findall(r"`(takk_[a-z_]+)`", text(name))) <= known | others


@pytest.mark.parametrize("name", pages())
def test_paths_exist(name: str) -> None:
    """Each path of a module, a page or a folder is one from the root, from the page's folder, or from tests/harness."""
    named = re.findall(r"`([\w./-]+(?:\.py|\.md|\.yml|\.toml|/))`", text(name))
    near = (ROOT, (ROOT / name).parent, ROOT / "tests" / "harness", ROOT / "templates")
    missing = [path for path in named if not any((folder / path).exists() for folder in near)]
    assert [path for path in missing if not path.startswith(ELSEWHERE)] == []


@pytest.mark.parametrize("name", pages())
def test_definitions_exist(name: str) -> None:
    """Each function, class or constant that is named with its module is defined there."""
    near = (ROOT, (ROOT / name).parent)
    for definition, module in re.findall(r"`([\w.]+)`\s+(?:in|of)\s+`([\w./]+\.py)`", text(name)):
        source = next(path.read_text(encoding="utf-8") for folder in near if (path := folder / module).exists())
        for part in definition.split("."):
            assert re.search(rf"^\s*(?:(?:async )?def |class )?{part}\b", source, re.M), (definition, module)


@pytest.mark.parametrize("name", pages())
def test_links_lead_somewhere(name: str) -> None:
    """Each link within the repository leads to a file or to a heading that exists."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        if "://" in target:
            continue
        page, _, anchor = target.partition("#")
        other = ROOT / name if not page else (ROOT / name).parent / page
        assert other.exists(), target
        headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.M)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


def test_the_tree_of_packages_is_complete() -> None:
    """The tree of streams/README.md has every package of `streams` and the packages in it, and only modules that exist."""
    (tree,) = re.findall(r"^```\n(.*?)^```", text("streams/README.md"), re.M | re.S)
    listed, parent = set[str](), ""
    for indent, name in re.findall(r"^( *)([\w/.]+) ", tree, re.M):
        parent = parent if indent else name
        listed.add(f"{parent}{name}" if indent else name)
    streams = ROOT / "streams"
    packages = {f"{path.parent.relative_to(streams).as_posix()}/" for path in streams.glob("*/**/__init__.py")}
    assert {name for name in packages if name.count("/") <= 2} == {name for name in listed if name.endswith("/")}
    assert [name for name in listed if not (streams / name).exists()] == []
