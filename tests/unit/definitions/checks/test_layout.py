"""The layout of a templates folder: each misplaced file is an error that says where it belongs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.agents.mailer_process import run_mailer
from streams.definitions.loader import load_flows, read_templates
from streams.settings import Settings
from streams.tools.cli.main import main
from tests.harness.events import FOLDERS, TEMPLATES

GROUPS = "groups are for example transactional, care, asking, selling and loyalty"
OLD = (
    "{root}:1:1: error files.E005: flows or shared templates are at the top of the folder, as in earlier versions (hint: "
    f"move {', '.join(sorted(FOLDERS))} "
    f"to flows/<group>/ ({GROUPS}), and "
    "move layout.html.j2, layout.txt.j2, style.css to shared/, and "
    'name them in templates as "shared/layout.html.j2")'
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shop's templates."""
    return shutil.copytree(TEMPLATES, tmp_path / "templates")


def flatten(root: Path) -> None:
    """Move everything to its place in earlier versions."""
    for path in [*root.glob("flows/*/*"), *root.glob("shared/*")]:
        path.rename(root / path.name)
    shutil.rmtree(root / "flows")
    shutil.rmtree(root / "shared")


def errors(root: Path) -> list[str]:
    """File, id and hint of each error, without the path of the folder."""
    return [
        f"{problem.location.file.removeprefix(f'{root}/')} {problem.id} {problem.hint}"
        for problem in read_templates(root).errors
    ]


def test_the_shop_s_own_layout_is_right(root: Path) -> None:
    """Each flow is found in its group by the name of its folder. Hidden folders are ignored."""
    (root / "flows" / ".git").mkdir()
    (root / "flows" / "care" / ".cache").mkdir()
    (root / "flows" / "empty").mkdir()
    (root / "flows" / "README.md").touch()
    assert errors(root) == []
    assert [flow.name for flow in load_flows(root)] == list(FOLDERS)
    groups = {name: folder.parent.name for name, folder in FOLDERS.items()}
    assert set(groups.values()) == {"asking", "care", "loyalty", "selling", "transactional"}
    assert (
        groups.items()
        >= {
            "address-changed": "transactional",
            "confirm-request": "transactional",
            "goes-well-with": "selling",
            "nps": "asking",
            "order-confirmation": "transactional",
            "photo-contest": "loyalty",
            "review": "asking",
            "shipment-confirmation": "transactional",
            "thank-you": "care",
        }.items()
    )


def test_the_layout_of_earlier_versions_is_one_error(root: Path) -> None:
    """The error lists everything that has to move, and where to. No other error follows from it."""
    flatten(root)
    assert [str(problem) for problem in read_templates(root).errors] == [OLD.format(root=root)]
    done = CliRunner().invoke(main, ["flows", "check", "--templates", str(root)])
    assert (done.exit_code, done.output.splitlines()[:-1]) == (1, [OLD.format(root=root)])
    assert done.output.endswith(": 1 error.\n")


def test_a_mailer_does_not_start_with_the_layout_of_earlier_versions(root: Path) -> None:
    """A mailer would find no template, and could send no email."""
    flatten(root)
    with pytest.raises(SystemExit, match=r"(?s)cannot start.*move .*address-changed, "):
        run_mailer(Settings(templates_dir=root, mail_secret="a secret that is long enough"))


def test_what_was_left_at_the_top(root: Path) -> None:
    """A single flow or shared file at the top is an error too: a style sheet there would have no effect."""
    (root / "flows/asking/review").rename(root / "review")
    assert errors(root) == [f"{root} files.E005 move review to flows/<group>/ ({GROUPS})"]
    (root / "review").rename(root / "flows/asking/review")
    (root / "shared/style.css").rename(root / "style.css")
    assert errors(root) == [f"{root} files.E005 move style.css to shared/"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("flows/asking/review", "flows/review", "flows/review/flow.yaml files.E007 move the folder to flows/<group>/review"),
        ("flows/asking/review/flow.yaml", "flows/flow.yaml", "flows/flow.yaml files.E006 move its files to flows/<group>/<flow>"),
        ("flows/asking/review/flow.yaml", "flow.yaml", "flow.yaml files.E006 move its files to flows/<group>/<flow>"),
        ("flows/asking/review/flow.yaml", "flows/asking/review/flow.yml",
         "flows/asking/review/flow.yaml files.E008 add it, or remove the folder"),
        ("flows/asking/review", "flows/asking/soon/review", "flows/asking/soon/flow.yaml files.E008 add it, or remove the folder"),
    ],
)  # fmt: skip
def test_misplaced_flows(root: Path, old: str, new: str, error: str) -> None:
    """A flow without a group, without a folder or too deep, and a folder without a flow are errors at their files."""
    (root / new).parent.mkdir(exist_ok=True)
    (root / old).rename(root / new)
    found = errors(root)
    assert found[0] == error
    assert len(found) == (2 if (root / "flows/asking/review").exists() and not error.startswith("flows/asking") else 1)


def test_an_older_version_without_a_group(root: Path) -> None:
    """A folder with only older versions of a flow needs a group too."""
    (root / "flows/asking/review").rename(root / "flows/review")
    (root / "flows/review/flow.yaml").rename(root / "flows/review/flow.v1.yaml")
    (error,) = errors(root)
    assert error.startswith("flows/review/flow.v1.yaml files.E007 ")


def test_a_name_in_two_groups(root: Path) -> None:
    """State identifies a flow by its name alone, so a duplicate name is an error that lists both folders."""
    shutil.copytree(root / "flows/asking/review", root / "flows/care/review")
    (problem,) = read_templates(root).errors
    assert (problem.id, problem.location.file) == ("files.E009", f"{root}/flows/care/review/flow.yaml")
    assert "flows/asking/review and flows/care/review" in problem.message


def test_a_file_in_the_place_of_the_folder(root: Path) -> None:
    """If `flows` is a file, there are no flows."""
    shutil.rmtree(root / "flows")
    (root / "flows").touch()
    assert errors(root) == [f"{root} files.E002 add flows/<group>/<flow>/flow.yaml"]
