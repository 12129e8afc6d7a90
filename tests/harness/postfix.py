"""A real Postfix from a temporary configuration, if it is installed and the tests run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.tools.local.kafka.ports import free_port

POSTFIX = shutil.which("postfix", path="/usr/sbin:/sbin:/usr/local/sbin")
#: Why Postfix cannot run here, or None.
MISSING = (
    None
    if POSTFIX and os.geteuid() == 0
    else "Postfix is not installed (apt-get install postfix), or this user is not root"
)

_MAIN = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {folder}
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = post.example
mydestination =
relayhost = [127.0.0.1]:{relay}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{{{gone@post.example = 550 5.1.1 gone}}, {{later@post.example = 450 4.2.1 later}}}}
smtpd_end_of_data_restrictions =
message_size_limit = 100000
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 3
smtpd_client_event_limit_exceptions =
{more}
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def running(folder: Path, relay: int, more: str = "") -> Iterator[int]:
    """Run Postfix, and yield its port.

    Args:
        folder: an empty folder, which other users can read.
        relay: the port of the server to which it hands all emails over.
        more: lines for its configuration.
    """
    port = free_port()
    config, queue, data = folder / "etc", folder / "queue", folder / "data"
    for path in (config, queue, data):
        path.mkdir()
    user = pwd.getpwnam("postfix")
    os.chown(data, user.pw_uid, user.pw_gid)
    log = folder / "mail.log"
    text = _MAIN.format(queue=queue, data=data, log=log, folder=folder, relay=relay, more=more)
    (config / "main.cf").write_text(text)
    (config / "master.cf").write_text(_MASTER.format(port=port))
    command = [str(POSTFIX), "-c", str(config)]
    started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
    if started.returncode:
        raise RuntimeError(started.stderr + (log.read_text() if log.exists() else ""))
    try:
        yield port
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
