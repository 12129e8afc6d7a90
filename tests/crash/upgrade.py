"""The rolling upgrade: replace the workers and mailers of an earlier commit one by one, under load."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from pathlib import Path

from confluent_kafka.admin import AdminClient

from streams.settings import PROJECT_ROOT
from streams.tools.local.oracle import read_all
from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun

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
