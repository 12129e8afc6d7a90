"""Rolling upgrades under load: of the program, by workers and mailers of an earlier commit, and of the templates."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import AdminClient

from streams.settings import PROJECT_ROOT
from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun
from tests.harness.patient_templates import patient_templates

#: The last commit before the packages and classes got new names.
BEFORE = "8c5c04a"
#: Emails to wait for between two replacements.
EMAILS_BETWEEN = 90
#: Records per topic in the recording.
RECORDED = 12
#: Package metadata beside the program takes precedence over the environment's, so the old program finds its own RocksDB store.
_METADATA = "Metadata-Version: 2.1\nName: takk\nVersion: 0.1.0\n"


def checkout(revision: str, folder: Path) -> Path:
    """Write the program of `revision` into `folder`, with the metadata that its plugins need, and return the folder.

    Raises:
        subprocess.CalledProcessError: the revision is missing, for example in a shallow clone.
    """
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=PROJECT_ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    plugins = (folder / "pyproject.toml").read_text(encoding="utf-8").split('[project.entry-points."faust.stores"]')[1]
    name, target = plugins.split("\n")[1].split(" = ")
    metadata = folder / "takk-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(_METADATA, encoding="utf-8")
    entry = f"[faust.stores]\n{name} = {json.loads(target)}\n"
    (metadata / "entry_points.txt").write_text(entry, encoding="utf-8")
    return folder


def upgrade(run: ScenarioRun) -> None:
    """Replace a mailer, a worker, the other mailer and the other worker; in between, old and new processes work side by side."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        _record(run)
        for process in (stack.mailers[0], stack.workers[0], stack.mailers[1], stack.workers[1]):
            run.note_fault(process)
            assert process.stop() == 0, f"the old {process.role} did not exit cleanly, see {process.log_file}"
            process.program = None
            process.start()
            process.await_ready()
            run.log(f"replaced a {process.role}")
            run.await_emails(EMAILS_BETWEEN)

    def comparable(topic: str, value: bytes) -> bytes:
        """Return a value without the texts that the new program words differently: greetings of commands, details of decisions."""
        if topic == topics.DECISIONS:
            return stack.codec.encode("flow_decision", {**stack.codec.decode("flow_decision", value), "detail": ""})
        if topic != topics.COMMANDS:
            return value
        command = stack.codec.decode("email_command", value)
        context = {
            name: item for name, item in json.loads(command["context"]).items() if name not in ("greeting", "mood")
        }
        return stack.codec.encode("email_command", {**command, "context": json.dumps(context)})

    run.judge(comparable)


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
