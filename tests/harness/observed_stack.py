"""A stack as in the demo that a real Prometheus watches: broker, two workers, a mailer, a gateway, an inbox, a shop and its recipients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.tools.local.recipients.email_events import EmailEvents, SentEmails
from streams.tools.local.shop.shop import Shop
from tests.harness.alert_sink import AlertSink
from tests.harness.patient_templates import patient_templates
from tests.harness.prometheus import Prometheus, Target
from tests.harness.stack import Stack, open_stack, wait_until

#: Two flows that the shipped ones lack: one with codes of a pool, and a paused one.
FLOWS = {
    "spring": """\
flow: spring
version: 1
status: live
purpose: service
trigger: {on: order.placed, once_per: customer}
steps:
  - reward: {name: spring-10, pool: spring-10, within: 360d}
""",
    "summer": """\
flow: summer
version: 1
status: paused
purpose: service
trigger: {on: order.placed, once_per: customer}
steps:
  - wait: {days: 1}
""",
}
#: The port in the label `instance`, as in a cluster. Prometheus scrapes the port that the process has on this machine.
PORT = 8080


@dataclass(frozen=True)
class ObservedStack:
    """A running stack, and the Prometheus that scrapes it."""

    stack: Stack
    prometheus: Prometheus


def copy_templates(folder: Path) -> Path:
    """Copy the shipped templates into `folder` and return the copy, with two more flows.

    The copy has no quiet hours: the time of day would decide whether marketing emails are sent. Emails that are not
    transactional do not expire: a day may last a second, and they would expire before they can be withdrawn.
    """
    templates = patient_templates(folder / "templates")
    rules = templates / "rules.yaml"
    lines = rules.read_text(encoding="utf-8").splitlines(keepends=True)
    rules.write_text("".join(line for line in lines if not line.startswith("quiet_hours:")), encoding="utf-8")
    for file in templates.glob("flows/*/*/flow.yaml"):
        text = file.read_text(encoding="utf-8")
        for short in ("3d", "5d", "7d"):
            text = text.replace(f"expires: {short}", "expires: 90d")
        file.write_text(text, encoding="utf-8")
    for name, text in FLOWS.items():
        flow = templates / "flows" / "selling" / name / "flow.yaml"
        flow.parent.mkdir(parents=True)
        flow.write_text(text, encoding="utf-8")
    return templates


def targets_of(stack: Stack) -> list[Target]:
    """Return the targets of a stack's processes, with instance names as in a cluster."""
    return [
        Target(f"127.0.0.1:{process.port}", role, instance=f"{role}-{number}:{PORT}")
        for role, processes in (("worker", stack.workers), ("mailer", stack.mailers), ("gateway", stack.gateways))
        for number, process in enumerate(processes, 1)
    ]


@contextmanager
def open_observed_stack(
    folder: Path,
    day_s: float = 1.0,
    interval_s: float = 1.0,
    is_patient: bool = True,
    env: dict[str, str] | None = None,
) -> Iterator[ObservedStack]:
    """Start the stack and Prometheus with the rules of `deploy/`, and stop both at the end of the block.

    Args:
        folder: for the files of all of it.
        day_s: seconds that one day of waiting takes.
        interval_s: seconds between two scrapes, and between two evaluations of the rules.
        is_patient: whether alerts wait before they fire, as their `for` says.
        env: additional settings of all processes.
    """
    more = {
        "TAKK_TEMPLATES_DIR": str(copy_templates(folder)),
        "TAKK_HEARTBEAT_S": "15",
        "TAKK_ADDRESS_SECRET": "a secret of the tests, long enough",
        **(env or {}),
    }
    with open_stack(folder, day_s=day_s, workers=2, gateways=1, env=more) as stack:
        # The reactions depend on the seed alone; the shop that produces the orders is another object.
        recipients = EmailEvents(stack.settings.kafka(), stack.codec, SentEmails(), Shop(3, 1.0, day_s))
        recipients.start()
        try:
            files, targets = folder / "prometheus", targets_of(stack)
            with (
                AlertSink() as sink,
                Prometheus(
                    files, targets, interval_s=interval_s, is_patient=is_patient, alertmanager=sink.address
                ) as prometheus,
            ):
                # Prometheus sees no increase of a counter that was above 0 at its first scrape.
                wait_until(
                    lambda: len(prometheus.query("sum_over_time(up{job='takk'}[1h]) > 1")) == len(targets), "scrapes"
                )
                yield ObservedStack(stack, prometheus)
        finally:
            recipients.stop()
