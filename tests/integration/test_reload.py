"""Templates are published while a stack runs: no process restarts, a broken version changes nothing, and no kill loses or doubles an email."""

from __future__ import annotations

import re
import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest

from streams.core.rules.content_hash import content_hash
from streams.definitions.layers import read_snapshot
from streams.definitions.loader import load_ruleset
from streams.runtime.failpoints import VARIABLE
from streams.tools.operations.publication import publish_templates
from streams.wire import topics
from tests.harness.patient_templates import patient_templates
from tests.harness.stack import Stack, open_stack

#: Few flows, so that the checks of a publication are fast: emails at once, after waits, and on parcels.
FLOWS = ("order-confirmation", "shipment-confirmation", "delivered", "thank-you")
CONFIRMATION = "flows/transactional/order-confirmation"
#: Each kills the worker at another point of a switch: before it, after it, and between two partitions.
FAILPOINTS = ("templates.loaded", "templates.used", "flows.switched@2")
#: Seconds from the publication to the first email with the newer text.
LIVE_S = 60.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack in which a day lasts two seconds, with templates of its own."""
    templates = patient_templates(tmp_path / "templates")
    for flow in templates.glob("flows/*/*"):
        if flow.name not in FLOWS:
            shutil.rmtree(flow)
    (templates / "languages.yaml").write_text("languages: [en, da]\n")
    with open_stack(
        tmp_path, day_s=2.0, gateways=1, env={"TAKK_TEMPLATES_DIR": str(templates), "TAKK_MAIL_RENDERERS": "1"}
    ) as stack:
        yield stack


def write_subject(templates: Path, words: str) -> None:
    """Let the subject of every order confirmation begin with `words`."""
    for path in (templates / CONFIRMATION / "copy").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^(\S+\.subject): .*$", rf'\1: "{words}"', text), encoding="utf-8")


def raise_version(stack: Stack) -> None:
    """Write a newer version of a flow, and keep the templates before for the oracle."""
    templates = stack.settings.templates_dir
    earlier = templates.with_name(f"earlier-{len(stack.other_templates)}")
    stack.other_templates.append(Path(shutil.copytree(templates, earlier)))
    folder = templates / CONFIRMATION
    text = (folder / "flow.yaml").read_text(encoding="utf-8")
    match = re.search(r"(?m)^version: (\d+)$", text)
    assert match is not None
    (folder / f"flow.v{match[1]}.yaml").write_text(text, encoding="utf-8")
    newer = text.replace(match[0], f"version: {int(match[1]) + 1}")
    (folder / "flow.yaml").write_text(newer, encoding="utf-8")


def publish(stack: Stack) -> str:
    """Publish the templates with the command; return their version."""
    stack.takk("templates", "publish")
    return read_snapshot(stack.settings.templates_dir).version


def use(stack: Stack, version: str) -> bool:
    """Return whether all processes use a version, and say that it is the published one."""
    name = f'takk_templates_info{{version="{version}"}}'
    series = [process.series() for process in stack.processes]
    return all(each.get(name) == 1 and each.get("takk_templates_published") == 1 for each in series)


def arrived(stack: Stack, subject: str) -> int:
    """Return the number of emails with a subject."""
    return sum(mail.subject == subject for mail in stack.inbox.mails())


@pytest.mark.campaign
def test_templates_are_published_while_emails_are_sent(stack: Stack) -> None:
    """Newer text arrives within a minute without a restart; broken versions change nothing; kills in a switch lose and double nothing."""
    templates, closed = stack.settings.templates_dir, threading.Event()
    shop = stack.run_shop(900, rate=4, until=closed)
    try:
        stack.wait_until(lambda: len(stack.inbox.mails()) > 5, "emails arrive")
        pids = [process.pid for process in stack.processes]
        raise_version(stack)
        write_subject(templates, "Newer words")
        before = len(stack.inbox.mails())
        stack.wait_until(lambda: len(stack.inbox.mails()) > before + 10, "emails continue")
        assert arrived(stack, "Newer words") == 0, "an edit has an effect before it is published"
        version = publish(stack)
        stack.wait_until(lambda: arrived(stack, "Newer words") > 0, "newer text arrives", LIVE_S)
        stack.wait_until(lambda: use(stack, version), "all processes use the published version", LIVE_S)
        assert f"version {version}, published" in stack.run_takk("doctor").stdout

        _broken_versions(stack, version)
        assert [process.pid for process in stack.processes] == pids, "a process was restarted"

        for failpoint in FAILPOINTS:
            _kill_at(stack, failpoint)
    finally:
        closed.set()
        shop.join()
    stack.wait_until_idle()
    journal = stack.records(topics.CHECKPOINTS)
    verdict = stack.judge()
    assert verdict.problems == []
    assert (verdict.lost, verdict.duplicates) == ([], [])
    folders = (*stack.other_templates, templates)
    hashes = [content_hash(load_ruleset(folder, **stack.settings.ruleset_options())) for folder in folders]
    assert {entry["flows"] for entry in journal} == set(hashes)
    for partition in range(stack.settings.partitions):
        switches = [key for key, _ in groupby(e["flows"] for e in journal if e["partition"] == partition)]
        assert switches == sorted(switches, key=hashes.index), "a partition returned to earlier flows"


def _kill_at(stack: Stack, failpoint: str) -> None:
    """Publish a newer flow with newer words. The worker is killed in its switch, and its next life continues."""
    stack.worker.stop()
    stack.worker.start(**{VARIABLE: failpoint})
    stack.worker.await_ready()
    raise_version(stack)
    write_subject(stack.settings.templates_dir, f"Words of {failpoint}")
    version = publish(stack)
    stack.wait_until(lambda: not stack.worker.is_alive, f"the worker reaches {failpoint}")
    assert stack.worker.exit_code == -signal.SIGKILL
    stack.worker.start()
    stack.worker.await_ready()
    stack.wait_until(lambda: use(stack, version), "all processes use the published version")
    stack.wait_until(lambda: arrived(stack, f"Words of {failpoint}") > 0, "newer text arrives")


def _broken_versions(stack: Stack, version: str) -> None:
    """Publish broken versions: the command refuses them, and so do the processes if the command is bypassed. Emails continue."""
    templates = stack.settings.templates_dir
    page, flow = templates / CONFIRMATION / "confirmation.html.j2", templates / CONFIRMATION / "flow.yaml"
    valid, steps = page.read_text(encoding="utf-8"), flow.read_text(encoding="utf-8")
    page.write_text(valid + "{{ order.nothing }", encoding="utf-8")
    done = stack.run_takk("templates", "publish")
    assert done.returncode == 1
    assert "nothing was published" in done.stderr
    assert use(stack, version)
    flow.write_text(steps.replace("steps:", "stepz:"), encoding="utf-8")
    broken = read_snapshot(templates).version
    publish_templates(stack.settings, broken, "a test", datetime.now(UTC))
    refusing = [stack.worker, stack.mailer]
    refused = 'takk_templates_refused_total{reason="invalid"}'
    stack.wait_until(lambda: all(each.series().get(refused) == 1 for each in refusing), "the version is refused")
    before = arrived(stack, "Newer words")
    stack.wait_until(lambda: arrived(stack, "Newer words") > before, "emails continue")
    assert f"published: {broken} (refused)" in stack.mailer.readiness
    page.write_text(valid, encoding="utf-8")
    flow.write_text(steps, encoding="utf-8")
    assert publish(stack) == version
    stack.wait_until(lambda: use(stack, version), "all processes use the version again")
