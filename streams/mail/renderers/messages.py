"""The messages between the mailer and a renderer process.

Each is four bytes of its length, big-endian, and then its bytes. The mailer sends a `Setup` and then lists of jobs. The renderer sends an
empty list when it is ready, and then lists of results, in the order of the jobs.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from struct import Struct as Layout
from typing import TypeAlias

import msgspec
from msgspec import Struct

from streams.mail.command import Command
from streams.mail.links import Sender
from streams.mail.renderers.emails import Email
from streams.mail.rendering.email_brand import EmailBrand

LENGTH = Layout(">I")


@dataclass(frozen=True)
class Setup:
    """The needs of a renderer before its first job.

    Attributes:
        templates_dir: folder of the templates.
        sender: the sender of the emails.
        brand: the brand of the emails. It comes from the mailer, so that a renderer that starts later shows the same, and starts
            even if the file has become invalid.
    """

    templates_dir: Path
    sender: Sender
    brand: EmailBrand

    def encode(self) -> bytes:
        """Return the message. It contains the secret of the links, and goes through a socket pair only."""
        return pickle.dumps(self)


class Job(Struct, frozen=True, array_like=True):
    """An email to compose.

    Attributes:
        number: the number of the job, unique for its renderer.
        command: the command, with its products and without its raw bytes.
        now: the time of the header Date, UTC.
    """

    number: int
    command: Command
    now: datetime


#: The number of a job, and its result.
Result: TypeAlias = tuple[int, Email]

_encoder = msgspec.msgpack.Encoder()
_jobs = msgspec.msgpack.Decoder(list[Job])
_results = msgspec.msgpack.Decoder(list[Result])


def framed(body: bytes) -> bytes:
    """Return a message with its length before it."""
    return LENGTH.pack(len(body)) + body


def encode_job(job: Job) -> bytes:
    """Return an encoded job, for `joined_jobs`."""
    return _encoder.encode(job)


def joined_jobs(jobs: Iterable[bytes]) -> bytes:
    """Return the message of some encoded jobs, with its length before it."""
    return framed(_encoder.encode([msgspec.Raw(job) for job in jobs]))


def encode_results(results: list[Result]) -> bytes:
    """Return the message of some results, with its length before it."""
    return framed(_encoder.encode(results))


decode_jobs = _jobs.decode
decode_results = _results.decode
