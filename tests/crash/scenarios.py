"""The scenarios of the campaign: what is done to a stack, and what must hold afterwards besides that nothing is lost or doubled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from streams.settings import PROJECT_ROOT
from tests.crash.kills import kill_mailer, kill_worker, random_kills
from tests.crash.membership import rolling, scaling, zombies
from tests.crash.outages import brokers, changelog_deleted, clock_steps, disk_full, mail_server, poison
from tests.crash.scenario_run import ScenarioRun
from tests.crash.upgrade import BEFORE, upgrade

SESSION_S = 6


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A row of the table. `play` does what the name says and leaves the stack running; the campaign judges.

    `judges_itself`: it has to be judged before its play is over. `has_own_clock`: the file `clock` in the stack's folder shifts the
    time of its processes by so many seconds. `before`: the git revision whose program the processes run at first.
    """

    name: str
    acceptance: str
    play: Callable[[ScenarioRun], None]
    workers: int = 1
    mailers: int = 1
    brokers: int = 1
    judges_itself: bool = False
    before: str = ""
    has_own_clock: bool = False
    env: dict[str, str] = field(default_factory=dict)


_SHORT_SESSION = {"TAKK_SESSION_TIMEOUT_S": str(SESSION_S)}
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="worker edges, disk kept",
        acceptance="kill -9 at each of 14 places; nothing lost or doubled",
        play=partial(kill_worker, is_wiped=False),
    ),
    Scenario(
        name="worker edges, disk wiped",
        acceptance="the same at 15 places, the state restored from Kafka",
        play=partial(kill_worker, is_wiped=True),
    ),
    Scenario(
        name="mailer edges, disk kept",
        acceptance="kill -9 at 14 places; doubled at most where the ledger says unknown",
        play=partial(kill_mailer, is_wiped=False),
    ),
    Scenario(
        name="mailer edges, disk wiped",
        acceptance="the same without this disk's notes: more unknown, none of them untold",
        play=partial(kill_mailer, is_wiped=True),
    ),
    Scenario(
        name="random kill -9",
        acceptance="3 workers and 2 mailers, a quarter of the disks wiped",
        play=random_kills,
        workers=3,
        mailers=2,
        env=_SHORT_SESSION,
    ),
    Scenario(
        name="zombies",
        acceptance="stopped past the session timeout, woken: fenced, ends or rejoins",
        play=zombies,
        workers=2,
        mailers=2,
        env=_SHORT_SESSION,
    ),
    Scenario(
        name="scaling out and in",
        acceptance="1, 2, 3, 2, 1 workers under load",
        play=scaling,
        workers=3,
        env=_SHORT_SESSION,
    ),
    Scenario(name="broker restarted", acceptance="kill -9 of the only broker, brought back", play=brokers),
    Scenario(
        name="three brokers",
        acceptance="replication 3, min.insync 2: each killed and brought back in turn",
        play=brokers,
        workers=2,
        brokers=3,
    ),
    Scenario(name="rolling restart", acceptance="no partition moves", play=rolling, workers=2, mailers=2),
    Scenario(
        name="mail server",
        acceptance="4xx, slow, hang-ups, nonsense, dead: all mails in the end, each once or told",
        play=mail_server,
    ),
    Scenario(
        name="disk full", acceptance="the worker ends with an error and goes on when there is room", play=disk_full
    ),
    Scenario(
        name="changelog deleted",
        acceptance="a clear refusal, disk kept and wiped",
        play=changelog_deleted,
        judges_itself=True,
    ),
    Scenario(
        name="clock steps",
        acceptance="an hour forward and back: no timer lost or fired twice",
        play=clock_steps,
        has_own_clock=True,
    ),
    Scenario(
        name="upgrade",
        acceptance="processes of an earlier commit replaced one by one: old and new work side by side",
        play=upgrade,
        workers=2,
        mailers=2,
        before=BEFORE,
        judges_itself=True,
    ),
    Scenario(name="poison", acceptance="1 % undecodable records: each a dead letter, the rest goes on", play=poison),
)


def environment(scenario: Scenario, folder: Path) -> dict[str, str]:
    """The settings of the scenario's processes."""
    env = dict(scenario.env)
    if scenario.has_own_clock:
        clock = Path(__file__).parent / "clock"
        # Where a day lasts a second, a mail that was put off under a clock an hour ahead would be put off for an hour.
        templates = shutil.copytree(
            PROJECT_ROOT / "templates", folder / "templates", ignore=shutil.ignore_patterns("rules.yaml")
        )
        env |= {
            "TAKK_TEMPLATES_DIR": str(templates),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(clock), os.environ.get("PYTHONPATH")))),
            "TAKK_CRASH_CLOCK": str(folder / "clock"),
        }
    return env
