"""Scenarios in which the broker treats a process oddly: a full group, an odd answer to a heartbeat, an expired transactional id."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError

from streams.runtime.app import EXIT_FATAL
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import MAILER, WORKER
from tests.harness.kafka_proxy import Api, KafkaProxy

#: Emails to wait for between two steps.
EMAILS_BETWEEN = 100
#: A group of two members at most.
FULL_GROUP = {"group.max.size": "2"}
#: Transactional ids expire within seconds instead of a week.
EXPIRATION_S = 10
EXPIRING_IDS = {
    "transactional.id.expiration.ms": str(1000 * EXPIRATION_S),
    "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
}
#: Answers to a heartbeat that aiokafka does not expect.
ODD_ANSWERS = (KafkaError.UNKNOWN, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.FENCED_INSTANCE_ID)


def full_group(run: ScenarioRun) -> None:
    """Start a third worker, for which the group has no room: it ends again and again, and takes over once another one has left."""
    stack, leaving = run.stack, run.stack.workers[0]
    third = stack.add_worker()
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.note_fault(third, others=[WORKER])
        third.start()
        for _ in range(2):
            run.wait_until(lambda: third.exit_code is not None, "the third worker is refused")
            assert third.exit_code == EXIT_FATAL, f"exit code {third.exit_code}"
            third.start()
        run.await_emails(EMAILS_BETWEEN, is_supervised=True)
        run.note_fault(leaving)
        assert leaving.stop() == 0
        stack.workers.remove(leaving)  # for good: nobody restarts it
        run.wait_until(lambda: third.is_ready, "the third worker took over", is_supervised=True)
        run.await_emails(2 * EMAILS_BETWEEN)


def odd_heartbeat(run: ScenarioRun) -> None:
    """Edit one answer to a heartbeat of a worker, then of a mailer: it ends, is restarted, and goes on."""
    (broker,) = run.stack.brokers
    with KafkaProxy(broker.port) as proxy, run.shop_open():
        for victim in (run.stack.workers[0], run.stack.mailers[0]):
            run.note_fault(victim)
            assert victim.stop() == 0
            run.restart(victim, KAFKA_BOOTSTRAP_SERVERS=proxy.bootstrap)
            for code in ODD_ANSWERS[:2] if victim.role == WORKER else ODD_ANSWERS[2:]:
                run.await_emails(EMAILS_BETWEEN)
                run.log(f"a {victim.role}'s heartbeat is answered with error {code}")
                run.note_fault(victim)
                edited = proxy.fail_next(Api.HEARTBEAT, code)
                run.wait_until(edited.is_set, "a heartbeat is answered")
                run.wait_until(lambda victim=victim: victim.exit_code is not None, f"the {victim.role} ended")
                assert victim.exit_code == EXIT_FATAL, f"exit code {victim.exit_code}"
                run.row.kills += 1
                assert "left the consumer group" in victim.log_file.read_text(errors="replace")
                run.restart(victim, KAFKA_BOOTSTRAP_SERVERS=proxy.bootstrap)
            run.await_emails(EMAILS_BETWEEN)
            assert victim.stop() == 0
            run.restart(victim)  # without the proxy, which ends with the scenario


def expired_ids(run: ScenarioRun) -> None:
    """Leave all processes idle for longer than their transactional ids live: they continue without a restart."""
    processes = run.stack.processes
    pids = [process.pid for process in processes]
    for _ in range(2):
        with run.shop_open():
            run.note_fault(others=[WORKER, MAILER])
            run.await_emails(2 * EMAILS_BETWEEN)
        run.stack.wait_until_idle()
        time.sleep(2 * EXPIRATION_S)  # nothing shows when the broker deletes an id
    with run.shop_open():
        run.note_fault(others=[WORKER, MAILER])
        run.await_emails(2 * EMAILS_BETWEEN)
    assert [process.pid for process in processes] == pids, "a process was restarted"
