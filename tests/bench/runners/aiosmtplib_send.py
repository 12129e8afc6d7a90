"""The mailer's peer: `aiosmtplib_send <port> <connections> <mails> <file>` sends the ready-made mail in `file` again and again, nothing else."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import aiosmtplib


async def main(port: int, connections: int, mails: int, data: bytes) -> None:
    """Print one RESULT line when all mails were accepted."""
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]
    for client in clients:
        await client.connect()
    left = iter(range(mails))

    async def work(client: aiosmtplib.SMTP) -> None:
        for number in left:
            await client.sendmail("hej@shop.example", [f"c{number}@post.example"], data)

    started = time.time()
    await asyncio.gather(*(work(client) for client in clients))
    seconds = time.time() - started
    print(f"RESULT aiosmtplib {mails} {seconds:.2f} {mails / seconds:.0f}", flush=True)
    for client in clients:
        await client.quit()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).read_bytes()))
