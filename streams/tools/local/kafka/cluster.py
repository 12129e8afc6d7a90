"""An embedded cluster: several brokers on this machine that replicate each other, so that one may fail."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from streams.tools.local.kafka.broker import EmbeddedKafka, Member
from streams.tools.local.kafka.jars import classpath
from streams.tools.local.kafka.ports import free_port


class EmbeddedCluster:
    """Brokers that are also controllers (KRaft). Kafka's own topics are on all of them. They stop with their parent.

    The brokers are numbered from 1, and keep their ports while this object exists, whether they are running or not.

    Args:
        data_dir: the directory of the data, with a subdirectory for each broker; it is kept.
        brokers: number of brokers. The cluster works while a majority of them is running.
    """

    def __init__(self, data_dir: Path, brokers: int = 3) -> None:
        ports = [free_port() for _ in range(2 * brokers)]
        controllers = dict(enumerate(ports[:brokers], 1))
        # The directory determines the cluster id, so that a start that was interrupted between two brokers can be repeated.
        cluster_id = uuid.uuid5(uuid.NAMESPACE_URL, str(data_dir.absolute())).hex[:22]
        self._by_number = {
            node: EmbeddedKafka(data_dir / f"broker-{node}", port, member=Member(node, controllers, cluster_id))
            for node, port in enumerate(ports[brokers:], 1)
        }
        self.brokers = list(self._by_number.values())
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> str:
        """Start all brokers that are not running, wait until each answers, and return the bootstrap servers.

        Raises:
            KafkaStartError: a broker did not start; the message names its log. All brokers are stopped then.
        """
        classpath()  # downloaded once, before all brokers need it
        stopped = [broker for broker in self.brokers if not broker.is_alive]
        with ExitStack() as undo:
            undo.callback(self.stop)
            with ThreadPoolExecutor(len(self.brokers)) as pool:
                list(pool.map(EmbeddedKafka.launch, stopped))
            for broker in stopped:
                broker.await_answer()
            undo.pop_all()
        return self.bootstrap

    def stop(self) -> None:
        """Kill all brokers. Their data stays, and `start` starts them again."""
        # A clean stop would wait for a majority of controllers, which are stopping too.
        for broker in self.brokers:
            broker.kill()

    def kill(self, number: int) -> None:
        """Kill one broker with SIGKILL. Its data stays."""
        self._by_number[number].kill()

    def restart(self, number: int) -> None:
        """Kill a broker if it is running, start it on its ports and its data, and wait until it answers.

        Raises:
            KafkaStartError: the broker did not answer, for example without a majority; `start` starts all brokers.
        """
        self._by_number[number].kill()
        self._by_number[number].start()

    def is_alive(self, number: int) -> bool:
        """Return whether a broker's process is running."""
        return self._by_number[number].is_alive

    def __enter__(self) -> EmbeddedCluster:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
