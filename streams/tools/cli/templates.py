"""`takk templates`: a templates folder of a shop's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.tools.cli.options import on_kafka, read_settings

if TYPE_CHECKING:
    from streams.definitions.problems import Problem


@click.group()
def templates() -> None:
    """Start, test and publish a templates folder of your own."""


@templates.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the shop, for emails and pages.")
@click.option(
    "--language", "languages", multiple=True, help="Language of the emails; the first is the default. Repeatable."
)
@click.option(
    "--live",
    multiple=True,
    metavar="FLOW",
    help="Flow that sends from the start. Repeatable. Default: only transactional flows.",
)
@click.option(
    "--layer",
    "is_layer",
    is_flag=True,
    help="Write only what the shop itself must state. All other files are those of Takk.",
)
def templates_init(
    directory: Path, name: str, languages: tuple[str, ...], live: tuple[str, ...], is_layer: bool
) -> None:
    """Write a templates folder with all that a shop edits.

    It has the brand, rules, consent policy, segments, texts and flows of Takk, a README, and tests. Transactional flows are
    live, all others are drafts: they send nothing until you set `status: live`. Existing files are never overwritten.

    With --layer, the folder has the brand, the consent policy, the languages and `library.yaml`, which names the flows of Takk
    that run. Files that you add replace those of Takk. `takk templates copy` copies a flow to change it.

    \b
    takk templates init ~/shop --name "Tea Shop" --language da --language en
    takk preview --templates ~/shop

    Exit code 1 if the directory has files.
    """
    from streams.settings import PROJECT_ROOT
    from streams.tools.preview.shop_folder import CannotInit, init_folder

    try:
        is_live = init_folder(PROJECT_ROOT / "templates", directory, name, live, languages, is_layer=is_layer)
    except CannotInit as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename}: {error.strerror}") from error
    others = "no other runs" if is_layer else "all others are drafts"
    click.echo(f"Wrote {directory}. These flows are live, {others}: {', '.join(is_live)}.")
    click.echo(f"1. Write your brand into {directory / 'shared' / 'brand.yaml'}")
    click.echo(f"2. See the emails while you edit them: takk preview --templates {directory}")
    click.echo(f"3. Test them: takk templates test {directory}")
    click.echo(f"4. Use them: export TAKK_TEMPLATES_DIR={directory.absolute()}")
    click.echo(f"{directory / 'README.md'} explains the files.")


@templates.command("copy")
@click.argument("flow")
@click.option(
    "--templates",
    "templates_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory over the library. Default: TAKK_TEMPLATES_DIR.",
)
def templates_copy(flow: str, templates_dir: Path | None) -> None:
    """Copy a flow of Takk to your folder, to change it.

    The whole flow is then yours: its steps, messages, texts and examples. A newer Takk does not change it. A flow that library.yaml
    does not name is copied as a draft: it sends nothing until you set `status: live`.

    \b
    takk templates copy order-confirmation --templates ~/shop

    Exit code 1 if the flow is unknown, or the folder has it already.
    """
    from streams.definitions.layers import LIBRARY, MARKER
    from streams.tools.preview.shop_folder import CannotInit, copy_to_shop

    root = read_settings(templates_dir=templates_dir).templates_dir
    if not (root / MARKER).is_file():
        raise click.ClickException(f"{root} has no {MARKER}: all of its flows are in the folder itself")
    try:
        folder, is_draft = copy_to_shop(LIBRARY, root, flow)
    except CannotInit as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename}: {error.strerror}") from error
    hint = "a draft: set `status: live` in its flow.yaml when it should send" if is_draft else "live, as before"
    click.echo(f"Wrote {folder}. The flow is {hint}.")


@templates.command("test")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--no-browser", is_flag=True, help="Do not measure the contrast of emails in Chromium.")
@click.pass_context
def templates_test(context: click.Context, directory: Path | None, no_browser: bool) -> None:
    """Test a templates folder.

    Runs what `takk flows check` checks, and checks the stories. Renders every message in each language with each example, and checks its size, links,
    pictures, subject and text part. With Chromium, measures the contrast of all texts in light and dark colors. Then runs
    the functions test_* in tests/test_*.py. Nothing is sent, and no Kafka is needed. Default: TAKK_TEMPLATES_DIR.

    \b
    takk templates test ~/shop

    Exit codes: 0 no errors (there may be warnings), 1 errors or failed tests.
    """
    from streams.core.values.text import counted
    from streams.definitions.all_problems import check_all
    from streams.definitions.layers import open_layers
    from streams.tools.preview.chromium import ChromiumFailed, chromium
    from streams.tools.preview.emails import Emails
    from streams.tools.preview.folder_checks import check_emails, measure_contrast, run_tests
    from streams.tools.preview.shop_folder import TESTS
    from streams.tools.stories.story_files import read_stories

    settings = read_settings(templates_dir=directory)
    root = settings.templates_dir
    if not root.is_dir():
        raise click.ClickException(f"{root} is not a folder. `takk templates init {root}` makes one")
    layers = context.with_resource(open_layers(root))
    checked = check_all(layers, datetime.now(UTC))
    story_problems = read_stories(root, settings.schemas_dir).problems
    for problem in (*checked.errors, *checked.warnings, *story_problems):
        click.echo(str(problem), err=True)
    emails = Emails(layers.path, settings.mail_from)
    result = check_emails(emails, list(emails.variants(has_samples=True)))
    findings = list(result.findings)
    measured = ""
    if no_browser or chromium() is None:
        measured = "not measured" + ("" if no_browser else ", because Chromium is not installed")
    else:
        try:
            findings += measure_contrast(emails, list(emails.variants()))
        except ChromiumFailed as error:
            measured = f"not measured: {error}"
    for finding in findings:
        click.echo(str(finding), err=True)
    tests = run_tests(root / TESTS)
    for name, trace in tests.failures:
        click.echo(f"{name} failed:\n{trace}", err=True)
    errors = len(checked.errors) + len(story_problems) + sum(finding.is_error for finding in findings)
    warnings = len(checked.warnings) + sum(not finding.is_error for finding in findings)
    click.echo(
        f"{counted(result.emails, 'email')} rendered. The largest has {result.largest / 1000:.1f} kB: {result.largest_name}."
    )
    click.echo(f"Contrast: {measured or 'measured in light and dark colors'}.")
    click.echo(f"Tests: {tests.passed} passed, {len(tests.failures)} failed.")
    click.echo(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}.")
    context.exit(1 if errors or tests.failures else 0)


@templates.command("publish")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--by", default="", help="Author of the publication. Default: this user and host.")
def templates_publish(directory: Path | None, by: str) -> None:
    """Publish a templates folder.

    All processes use it as soon as they have its files, without a restart. Checks the folder as `takk flows check` does, but without
    its stories, and writes its version to the topic published-templates. Workers, mailers and gateways compare the folder of
    TAKK_TEMPLATES_DIR with it every second. A process whose folder differs, or has errors, keeps what it has. Distribute the
    files before or after. The limits are 1 MB for each file, and 20 MB for all together. Default: TAKK_TEMPLATES_DIR.

    \b
    takk templates publish ~/shop

    Exit code 1 if the folder has errors, or Kafka does not answer.
    """
    import getpass
    import socket
    import tempfile

    from streams.definitions.all_problems import check_all
    from streams.definitions.file_sizes import check_file_sizes
    from streams.definitions.layers import read_snapshot
    from streams.tools.operations.publication import publish_templates

    settings, now = read_settings(templates_dir=directory), datetime.now(UTC)
    root = settings.templates_dir
    if not root.is_dir():
        raise click.ClickException(f"{root} is not a folder")
    _refuse(check_file_sizes(root))  # before they are read
    try:
        snapshot = read_snapshot(root)
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="takk-publish-") as folder:  # what is checked is what has the version
        checked = check_all(snapshot.write(Path(folder)), now)
    for problem in checked.warnings:
        click.echo(str(problem), err=True)
    _refuse(checked.errors)
    author = by or f"{getpass.getuser()}@{socket.gethostname()}"
    on_kafka(settings, lambda: publish_templates(settings, snapshot.version, author, now))
    click.echo(f"Published version {snapshot.version} of {root}. `takk doctor` and /readyz show the versions in use.")


def _refuse(problems: Sequence[Problem]) -> None:
    """Print the errors of a folder, and end the command if there are any."""
    from streams.core.values.text import counted

    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise click.ClickException(f"{counted(len(problems), 'error')}: nothing was published")
