"""End this process with a segmentation fault whenever the flows agent handles a record with the key that `TAKK_CRASH_KEY` names.

Python loads this module at startup if its folder is on the path; only the campaign puts it there. It stands for a record that ends the process
for a reason that nobody has thought of.
"""

import importlib.util
import os
import signal
import sys
from typing import Any

_KEY = os.environ.get("TAKK_CRASH_KEY", "").encode()
_MODULE = "streams.agents.flows"


class _Finder:
    """Finds the module of the flows agent once, and changes its handler when it is loaded."""

    @classmethod
    def find_spec(cls, name: str, path: Any, target: Any = None) -> Any:
        if name != _MODULE:
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            module.make_handler = _fatal(module.make_handler)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _fatal(make_handler: Any) -> Any:
    def make(*arguments: Any) -> Any:
        handle = make_handler(*arguments)

        def handle_or_die(record: Any, batch: Any) -> Any:
            if record.key() == _KEY:
                os.kill(os.getpid(), signal.SIGSEGV)
            return handle(record, batch)

        return handle_or_die

    return make


if _KEY:
    sys.meta_path.insert(0, _Finder)
