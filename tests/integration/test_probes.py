"""What probes and gauges of real processes say: while they start, while a mail server is down, and when all work is done."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from streams import topics
from streams.local.kafka import free_port
from streams.local.world import Process
from tests.town import Town, await_that, open_town

#: So long that no timer fires and no mail expires meanwhile.
DAY_S = 600.0


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town"), day_s=DAY_S) as town:
        yield town


def probe(process: Process, path: str) -> int:
    """The status of a probe; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_probes_answer_while_a_worker_starts(town: Town) -> None:
    """A worker that still joins and restores is alive and not ready: /livez says 200, /readyz 503, and then both 200."""
    env = {**town.env, "TAKK_STATE_DIR": str(town.folder / "state-3"), "TAKK_GROUP_INSTANCE_ID": "third"}
    process = Process("worker", {**env, "TAKK_APP_ID": "third"}, town.folder / "third.log")
    seen: list[tuple[int, int]] = []

    def is_ready() -> bool:
        seen.append((probe(process, "/livez"), probe(process, "/readyz")))
        return seen[-1] == (200, 200)

    topics.create_topics(town.settings)
    process.start()
    try:
        await_that(is_ready, "the worker is ready")
    finally:
        process.kill()
    assert (200, 503) in seen
    assert {livez for livez, readyz in seen if readyz} == {200}


def test_port_taken(town: Town) -> None:
    """A worker whose port another process has ends at once, with the setting to change and without a stack of calls."""
    env = {**town.env, "TAKK_STATE_DIR": str(town.folder / "state-4"), "TAKK_APP_ID": "fourth"}
    process = Process("worker", env, town.folder / "fourth.log")
    process.start(TAKK_WEB_PORT=str(town.worker.port))
    try:
        await_that(lambda: not process.is_alive, "the worker has ended")
    finally:
        process.kill()
    said = process.log_file.read_text()
    assert "TAKK_WEB_PORT" in said
    assert "Traceback" not in said
    assert process.stop() == 1


def lag(process: Process) -> tuple[float, float]:
    """Records and seconds that a process is behind, over its stages and partitions."""
    found = process.metrics()
    return found.get("takk_lag_records", -1.0), found.get("takk_lag_seconds", -1.0)


def test_gauges_at_rest(town: Town) -> None:
    """After a burst each stage of worker and mailer is 0 records and 0 seconds behind; the timers that wait are counted, after a kill too."""
    town.trade(3.0, 30.0).join()
    town.rest()
    for process in town.processes:
        await_that(lambda process=process: lag(process) == (0, 0), f"the {process.role} has no lag")
    timers = town.worker.metrics()["takk_timers_stored_total"]
    assert timers > 0
    assert town.worker.metrics()["takk_timers_pending"] == timers
    assert town.mailer.series()['takk_smtp_seconds_count{outcome="accepted"}'] == town.inbox.accepted
    assert town.mailer.metrics()["takk_render_seconds_count"] == town.inbox.accepted
    town.worker.kill()
    town.worker.start()
    town.worker.await_ready()
    partitions = 2 * town.settings.partitions
    await_that(lambda: town.worker.metrics().get("takk_assigned_partitions") == partitions, "the worker is back")
    assert town.worker.metrics()["takk_timers_pending"] == timers


def test_lag_grows_while_the_mail_server_is_down(town: Town) -> None:
    """A mailer that reads the same commands and reaches no mail server is behind by them, and by more seconds each time it is asked."""
    env = {
        **town.env,
        "TAKK_APP_ID": "stuck",
        "TAKK_STATE_DIR": str(town.folder / "stuck"),
        "SMTP_PORT": str(free_port()),
    }
    process = Process("mailer", env, town.folder / "stuck.log")
    process.start()
    try:
        process.await_ready()
        await_that(lambda: lag(process)[1] > 0, "the mailer is behind")
        records, seconds = lag(process)
        await_that(lambda: lag(process)[1] > seconds + 1, "the seconds grow")
        assert records > 0
        assert process.metrics()["takk_smtp_paused"] == 1
    finally:
        process.kill()
