"""The mailer without Kafka: `mail_pipeline <port> <connections> <emails> <folder>` sends encoded commands to a mail server.

The mailer's own code decodes, renders and sends them and writes the delivery marks, in batches of the agent's size. There is no
ledger, and nothing is committed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from streams.agents.mailer_process import MAILER_BATCH
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from streams.mail.mailer import Mailer
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.runtime.collector import tune_collector
from streams.runtime.state.store import Memory, PartitionStore
from streams.settings import load_settings
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.bench.mailer import SENDER, commands
from tests.bench.runners.result import print_result


async def main(port: int, connections: int, emails: int, folder: Path) -> None:
    """Send `emails` emails, and print the result when all are accepted."""
    decoder = Decoder(open_codec())
    values = [value for _, value, _ in commands(emails)]
    marks = DeliveryMarks(PartitionStore(folder, Memory(64)), "bench", "boot")
    renderer = Renderer(load_settings().templates_dir, EmailBrand(name=SENDER.name))
    mailer = Mailer(renderer, SENDER, SmtpPool(Server(host="127.0.0.1", port=port, connections=connections)))
    tune_collector()
    started = time.time()
    for first in range(0, emails, MAILER_BATCH):
        batch = [decoder.command(value) for value in values[first : first + MAILER_BATCH]]
        reports = await mailer.deliver([(command, "send") for command in batch], marks, lambda: False)
        for report in reports:
            if report.outcome != "sent":
                raise RuntimeError(f"{report.outcome}: {report.rule} {report.text}")
            marks.clear(report.command.send_id)
    print_result("takk", emails, time.time() - started)
    await mailer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
