"""Run the inbox as a process of its own: `python -m streams.tools.local.inbox`."""

import sys

from streams.tools.local.inbox.server import main

sys.exit(main())
