"""Rolling upgrades under load: of the program, by workers and mailers of an earlier commit, and of the templates."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import AdminClient

from streams.tools.local.kafka.committed import read_all
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.crash.earlier_program import EarlierDecisions, codec_of
from tests.crash.scenario_run import ScenarioRun
from tests.harness.patient_templates import patient_templates

#: The last commit before the packages and classes got new names.
BEFORE = "8c5c04a"
#: Emails to wait for between two replacements.
EMAILS_BETWEEN = 90
#: Records per topic in the recording.
RECORDED = 12
#: Part of the message of an earlier worker that finds state of a newer one. It ends then, and the newer workers take over its partitions.
NEWER_STATE = "upgrade it"


def upgrade(run: ScenarioRun) -> None:
    """Replace a mailer, a worker, the other mailer and the other worker; in between, old and new processes work side by side.

    As an operator does: the shop writes the earlier schemas until every process is replaced, and only then the present ones. Without a
    schema registry, an earlier process cannot read the present ones.
    """
    stack, folder = run.stack, run.stack.program
    assert folder is not None, "the scenario has no earlier program"
    with run.shop_open(codec=codec_of(folder)):
        run.await_emails(EMAILS_BETWEEN)
        _record(run)
        for process in (stack.mailers[0], stack.workers[0], stack.mailers[1], stack.workers[1]):
            run.note_fault(process)
            _stop(process)
            stack.update(process)
            run.restart(process)
            run.log(f"replaced a {process.role}")
            run.await_emails(EMAILS_BETWEEN)
    with run.shop_open(has_receipts=True):
        run.log("the shop writes the present schemas")
        run.await_emails(EMAILS_BETWEEN)
    with EarlierDecisions(folder, stack.env, stack.settings.partitions) as earlier:
        run.judge(earlier.handle)
    if letters := run.dead_letters():
        run.row.problems.append(f"records became dead letters: {dict(letters)}")


def _stop(process: Process) -> None:
    """Stop a process of the earlier program. It may have ended already, because it met state of the newer program."""
    if process.stop() != 0:
        log = process.log_file.read_text(errors="replace")
        assert NEWER_STATE in log, f"the old {process.role} did not exit cleanly, see {process.log_file}"


def newer_templates(folder: Path) -> dict[str, str]:
    """Return the settings of processes whose flows have one version more, with the same content, beside the version of the project."""
    templates = patient_templates(folder / "templates")
    for path in templates.glob("flows/*/*/flow.yaml"):
        text = path.read_text(encoding="utf-8")
        version = int(text.partition("\nversion: ")[2].partition("\n")[0])
        path.rename(path.with_name(f"flow.v{version}.yaml"))
        path.write_text(text.replace(f"\nversion: {version}\n", f"\nversion: {version + 1}\n"), encoding="utf-8")
    return {"TAKK_TEMPLATES_DIR": str(templates)}


def older_templates(run: ScenarioRun) -> None:
    """Restart a worker with the older templates, and later with the newer ones. Every instance that waited for them continues."""
    stack, worker = run.stack, run.stack.workers[0]
    templates = patient_templates(stack.folder / "older-templates")
    stack.other_templates.append(templates)
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        for older in (True, False):
            run.note_fault(worker)
            assert worker.stop() == 0, f"the worker did not exit cleanly, see {worker.log_file}"
            worker.start(**({"TAKK_TEMPLATES_DIR": str(templates)} if older else {}))
            worker.await_ready()
            run.log(f"a worker has the {'older' if older else 'newer'} templates")
            run.await_emails(EMAILS_BETWEEN)

    def left_alone(*, have_continued: bool) -> int:
        """Return the number of instances that the worker with the older templates left alone: those that have or have not continued."""
        waited, continued = {}, {}
        for decision in stack.records(topics.DECISIONS):
            found = waited if decision["rule"] == "flow_unknown" else continued
            found[decision["instance_id"]] = decision["decided_at"]
        never = datetime.min.replace(tzinfo=UTC)
        return [continued.get(instance, never) > at for instance, at in waited.items()].count(have_continued)

    run.wait_until(lambda: not left_alone(have_continued=False), "every instance has continued", timeout_s=300)
    assert left_alone(have_continued=True), "the worker with the older templates met no newer instance"


def _record(run: ScenarioRun) -> None:
    """Write the first records of each topic, which all come from the old program, to `recorded.jsonl` in the stack's folder."""
    stack = run.stack
    existing = AdminClient(stack.settings.kafka()).list_topics(timeout=10).topics
    names = [name for name in existing if name in topics.SCHEMA_OF or name.endswith("-changelog")]
    records_by_topic = read_all(stack.settings.kafka(), names)
    with (stack.folder / "recorded.jsonl").open("w", encoding="ascii") as file:
        for topic, records in sorted(records_by_topic.items()):
            for record in [record for record in records if record.value() is not None][:RECORDED]:
                line = {
                    "topic": topic,
                    "key": b64encode(record.key() or b"").decode(),
                    "value": b64encode(record.value()).decode(),
                    "headers": [[name, b64encode(value or b"").decode()] for name, value in record.headers() or []],
                    "at_ms": record.timestamp()[1],
                }
                file.write(json.dumps(line) + "\n")
