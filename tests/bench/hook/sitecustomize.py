"""Give a gateway the benchmark's webhook.

Python loads this module at startup if its folder is on the path; only the job `gateway` puts it there.
"""

from tests.bench.runners.webhook import install

install()
