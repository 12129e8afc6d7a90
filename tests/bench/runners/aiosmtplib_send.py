"""The mailer's peer: `aiosmtplib_send <port> <connections> <emails> <file>` sends the finished email in `file` again and again."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import aiosmtplib

from tests.bench.runners.result import print_result


async def main(port: int, connections: int, emails: int, data: bytes) -> None:
    """Send `emails` emails, and print the result when all are accepted."""
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]
    for client in clients:
        await client.connect()
    numbers = iter(range(emails))

    async def send_emails(client: aiosmtplib.SMTP) -> None:
        for number in numbers:
            await client.sendmail("hej@shop.example", [f"c{number}@post.example"], data)

    started = time.time()
    await asyncio.gather(*(send_emails(client) for client in clients))
    print_result("aiosmtplib", emails, time.time() - started)
    for client in clients:
        await client.quit()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).read_bytes()))
