"""The scenarios of the campaign: their setup, and what must hold besides that nothing is lost or duplicated."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.crash import gateway_faults
from tests.crash.disk_faults import corrupt_block, faulty_disk, io_errors, power_loss_of_mailer, power_loss_of_worker
from tests.crash.group_faults import EXPIRING_IDS, FULL_GROUP, expired_ids, full_group, odd_heartbeat
from tests.crash.hostile_records import fatal_record, hostile_records
from tests.crash.kills import RENDERERS, kill_mailer, kill_renderers, kill_worker, random_kills
from tests.crash.mail_faults import odd_recipients, slow_stop
from tests.crash.membership import rolling, scaling, zombies
from tests.crash.outages import brokers, changelog_deleted, clock_steps, disk_full, mail_server, poison
from tests.crash.scenario_run import ScenarioRun
from tests.crash.shop_actions import ADDRESS_SETTINGS
from tests.crash.topic_faults import (
    EXPIRING_OFFSETS,
    EXPIRING_RECORDS,
    changelog_recreated,
    hanging_transaction,
    input_truncated,
    offsets_expired,
    retention_overtook,
)
from tests.crash.upgrade import BEFORE, newer_templates, older_templates, upgrade

SESSION_TIMEOUT_S = 6
_SHORT_SESSION = {"TAKK_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S)}
#: Emails in doubt per kill, with the marks of the killed mailer and without them.
KEPT, LOST = 4, 16


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scenario and the stack that it needs.

    Args:
        name: unique; the command line selects scenarios by words of it.
        acceptance: what must hold, for the results.
        play: carries out the scenario and leaves the stack running.
        seconds: that it takes on two cores.
        judges_itself: `play` compares the stack with the recomputation itself; otherwise the campaign does so afterwards.
        before: the git revision of the program that the processes run at first; empty: this one.
        has_own_clock: the file `clock` in the folder of the stack holds the seconds by which the processes' clock is off.
        has_newer_templates: the processes use a copy of the templates in which each flow has one version more.
        has_faulty_disk: the disk of the processes fails on demand. Needs gcc.
        has_shop_actions: the shop also writes refusals, consents, orders of guests, imports, tests and requests.
        day_s: seconds that one day of waiting takes. An email about an order expires after a day, so a mailer that starts again and again
            has nothing to send if a day is short.
        env: additional settings of the processes.
        broker: further settings of the broker.
        in_doubt_per_kill: emails that may be in doubt after each kill: with the marks on the disk only those between the final dot and
            the answer, one per connection; without them those of a slice. None: any number.
    """

    name: str
    acceptance: str
    play: Callable[[ScenarioRun], None]
    seconds: float
    workers: int = 1
    mailers: int = 1
    gateways: int = 0
    brokers: int = 1
    judges_itself: bool = False
    before: str = ""
    has_own_clock: bool = False
    has_newer_templates: bool = False
    has_faulty_disk: bool = False
    has_shop_actions: bool = False
    day_s: float = 1.0
    env: dict[str, str] = field(default_factory=dict)
    broker: dict[str, str] = field(default_factory=dict)
    in_doubt_per_kill: int | None = KEPT


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="worker edges, disk kept",
        acceptance="kill -9 at each of 14 failpoints; nothing lost or duplicated",
        play=partial(kill_worker, is_wiped=False),
        has_shop_actions=True,
        seconds=90.0,
    ),
    Scenario(
        name="worker edges, disk wiped",
        acceptance="the same at 15 failpoints, with the state restored from Kafka",
        play=partial(kill_worker, is_wiped=True),
        has_shop_actions=True,
        seconds=95.0,
    ),
    Scenario(
        name="mailer edges, disk kept",
        acceptance="kill -9 at 14 places; only sends that are reported as unknown may arrive twice",
        play=partial(kill_mailer, is_wiped=False),
        has_shop_actions=True,
        day_s=6.0,
        seconds=120.0,
    ),
    Scenario(
        name="mailer edges, disk wiped",
        acceptance="the same without the local delivery marks: more unknown sends, all of them reported",
        play=partial(kill_mailer, is_wiped=True),
        in_doubt_per_kill=LOST,
        has_shop_actions=True,
        day_s=6.0,
        seconds=125.0,
    ),
    Scenario(
        name="renderers",
        acceptance="kill -9 of both renderers of the mailer, 8 times under load; nothing lost, duplicated or in doubt",
        play=kill_renderers,
        env={"TAKK_MAIL_RENDERERS": str(RENDERERS)},
        in_doubt_per_kill=0,
        has_shop_actions=True,
        seconds=60.0,
    ),
    Scenario(
        name="random kill -9",
        acceptance="three workers and two mailers, a quarter of the kills with a wiped disk",
        play=random_kills,
        workers=3,
        mailers=2,
        env=_SHORT_SESSION,
        in_doubt_per_kill=LOST,
        has_shop_actions=True,
        seconds=680.0,
    ),
    Scenario(
        name="zombies",
        acceptance="processes paused past the session timeout are fenced when they resume, and exit or rejoin",
        play=zombies,
        workers=2,
        mailers=2,
        env=_SHORT_SESSION,
        in_doubt_per_kill=LOST,
        has_shop_actions=True,
        seconds=65.0,
    ),
    Scenario(
        name="scaling out and in",
        acceptance="1, 2, 3, 2, 1 workers under load",
        play=scaling,
        workers=3,
        env=_SHORT_SESSION,
        seconds=70.0,
    ),
    Scenario(
        name="broker restarted", acceptance="kill -9 of the only broker, then a restart", play=brokers, seconds=50.0
    ),
    Scenario(
        name="three brokers",
        acceptance="replication 3, min.insync.replicas 2: each broker killed and restarted in turn",
        play=brokers,
        workers=2,
        brokers=3,
        seconds=120.0,
    ),
    Scenario(name="rolling restart", acceptance="no partition moves", play=rolling, workers=2, mailers=2, seconds=70.0),
    Scenario(
        name="mail server",
        acceptance="4xx answers, slow answers, cut connections, invalid answers, no answers: every email arrives, once or "
        "reported as unknown",
        play=mail_server,
        in_doubt_per_kill=None,
        seconds=50.0,
    ),
    Scenario(
        name="disk full",
        acceptance="the worker exits with an error and continues after a restart with free space",
        play=disk_full,
        seconds=45.0,
    ),
    Scenario(
        name="changelog deleted",
        acceptance="the worker refuses to start, with the disk kept and wiped, and its log has the reason",
        play=changelog_deleted,
        judges_itself=True,
        seconds=50.0,
    ),
    Scenario(
        name="clock steps",
        acceptance="the clock three minutes back, one hour forward and back, ten years forward for a moment: no timer is lost, fires twice or "
        "fires early",
        play=clock_steps,
        has_own_clock=True,
        seconds=110.0,
    ),
    Scenario(
        name="corrupt block",
        acceptance="a worker that reads a damaged block ends, and restores its state; no record becomes a dead letter",
        play=corrupt_block,
        workers=2,
        seconds=120.0,
    ),
    Scenario(
        name="I/O errors",
        acceptance="one write, one sync and one read of a worker's state fail; it restores what it needs",
        play=io_errors,
        workers=2,
        env=_SHORT_SESSION,
        has_faulty_disk=True,
        seconds=130.0,
    ),
    Scenario(
        name="power loss, worker",
        acceptance="what was not synced is lost with the process; the state is restored from there",
        play=power_loss_of_worker,
        workers=2,
        env=_SHORT_SESSION,
        has_faulty_disk=True,
        seconds=135.0,
    ),
    Scenario(
        name="power loss, mailer",
        acceptance="what was not synced is lost with the process, and the machine boots: the marks are not trusted",
        play=power_loss_of_mailer,
        mailers=2,
        env=_SHORT_SESSION,
        has_faulty_disk=True,
        in_doubt_per_kill=LOST,
        seconds=120.0,
    ),
    Scenario(
        name="hanging transaction",
        acceptance="a worker that must restore behind it refuses to start, with the remedy; the other one goes on",
        play=hanging_transaction,
        workers=2,
        # The other worker must not take over and meet the transaction too, before the one that refuses has returned.
        env={"TAKK_SESSION_TIMEOUT_S": "60"},
        seconds=130.0,
    ),
    Scenario(
        name="offsets expired",
        acceptance="the broker deletes the offsets of both groups; all processes continue where their state ends",
        play=offsets_expired,
        workers=2,
        mailers=2,
        env=_SHORT_SESSION,
        broker=EXPIRING_OFFSETS,
        seconds=190.0,
    ),
    Scenario(
        name="retention overtook",
        acceptance="orders that were deleted before they were read are counted, and all others are processed",
        play=retention_overtook,
        workers=2,
        env=_SHORT_SESSION,
        broker=EXPIRING_RECORDS,
        seconds=120.0,
    ),
    Scenario(
        name="input truncated",
        acceptance="the workers refuse a recreated topic until an operator accepts its offsets",
        play=input_truncated,
        workers=2,
        env=_SHORT_SESSION,
        seconds=130.0,
    ),
    Scenario(
        name="changelog recreated",
        acceptance="the workers refuse a longer copy of a changelog until an operator accepts it",
        play=changelog_recreated,
        workers=2,
        env=_SHORT_SESSION,
        seconds=95.0,
    ),
    Scenario(
        name="group full",
        acceptance="a worker that the group refuses asks again, and takes over when there is room",
        play=full_group,
        workers=2,
        env=_SHORT_SESSION,
        broker=FULL_GROUP,
        seconds=95.0,
    ),
    Scenario(
        name="odd heartbeat answer",
        acceptance="a process whose heartbeat is answered oddly ends, and goes on after a restart",
        play=odd_heartbeat,
        workers=2,
        mailers=2,
        env=_SHORT_SESSION,
        in_doubt_per_kill=LOST,
        seconds=170.0,
    ),
    Scenario(
        name="expired transactional ids",
        acceptance="processes that are idle for longer than their transactional ids live continue without a restart",
        play=expired_ids,
        broker=EXPIRING_IDS,
        seconds=140.0,
    ),
    Scenario(
        name="hostile records",
        acceptance="each hostile record is processed or becomes a dead letter, while workers and mailer are killed",
        play=hostile_records,
        workers=2,
        env=_SHORT_SESSION | fatal_record(),
        judges_itself=True,
        seconds=250.0,
    ),
    Scenario(
        name="odd recipients",
        acceptance="recipients that are answered oddly, cut off or not at all stop no other",
        play=odd_recipients,
        mailers=2,
        env=_SHORT_SESSION,
        in_doubt_per_kill=None,
        seconds=120.0,
    ),
    Scenario(
        name="slow stop",
        acceptance="a mailer that stops waits for a slow mail server: exit code 0, nothing in doubt",
        play=slow_stop,
        mailers=2,
        in_doubt_per_kill=0,
        seconds=150.0,
    ),
    Scenario(
        name="upgrade",
        acceptance="processes of an earlier commit are replaced one by one; old and new processes work side by side",
        play=upgrade,
        workers=2,
        mailers=2,
        before=BEFORE,
        judges_itself=True,
        # The earlier mailer marks whole batches, and its marks name no boot, so the newer mailer cannot trust them.
        in_doubt_per_kill=None,
        seconds=140.0,
    ),
    Scenario(
        name="older templates",
        acceptance="a worker with older templates beside one with newer: it leaves newer instances alone, which then continue",
        play=older_templates,
        workers=2,
        has_newer_templates=True,
        seconds=160.0,
    ),
    Scenario(
        name="poison",
        acceptance="1 % invalid records: each becomes a dead letter, all others are processed",
        play=poison,
        seconds=45.0,
    ),
    Scenario(
        name="gateway edges",
        acceptance="kill -9 of the gateway at each of 5 failpoints; each answered request has its record, those of a customer in order",
        play=gateway_faults.edges,
        gateways=1,
        seconds=50.0,
    ),
    Scenario(
        name="gateway, broker away",
        acceptance="the same while the broker is away, and the gateway is killed meanwhile",
        play=gateway_faults.broker_away,
        gateways=1,
        seconds=60.0,
    ),
    Scenario(
        name="gateway, full disk",
        acceptance="while the broker is away and the disk is full, requests are refused; none of the answered ones is lost",
        play=gateway_faults.disk_full,
        gateways=1,
        seconds=60.0,
    ),
    Scenario(
        name="two gateways",
        acceptance="each of two gateways is restarted and killed in turn; customers use the other one, and nothing is lost",
        play=gateway_faults.rolling,
        gateways=2,
        seconds=50.0,
    ),
)


def environment(scenario: Scenario, folder: Path) -> dict[str, str]:
    """Return the settings of the scenario's processes; the stack's files are in `folder`."""
    return {
        # An earlier program has no limits of addresses, so its emails would not count.
        **({} if scenario.before else ADDRESS_SETTINGS),
        **scenario.env,
        **(own_clock(folder) if scenario.has_own_clock else {}),
        **(faulty_disk(folder) if scenario.has_faulty_disk else {}),
        **(newer_templates(folder) if scenario.has_newer_templates else {}),
    }


def own_clock(folder: Path) -> dict[str, str]:
    """Return the settings of processes whose clock is off by the seconds in the file `clock` of `folder`."""
    clock = Path(__file__).parent / "clock"
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(clock), os.environ.get("PYTHONPATH")))),
        "TAKK_CRASH_CLOCK": str(folder / "clock"),
    }
