"""How thorough properties are tried: quickly by default, at length with NUCLEUS_THOROUGH=1 (`make fuzz` sets it).

And signals as a terminal would have them: whoever starts the tests in the background (nohup, a shell without job control)
hands on ignored ones, which programs under test would then inherit.
"""

from __future__ import annotations

import gc
import os
import signal

for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection() -> None:
    """Before the first test is imported; never in a controller of several workers, which imports none."""
    gc.disable()  # what is imported stays
    try:
        from hypothesis import settings
    except ImportError:  # the guests of the virtual machine bring only what their tests need
        return
    settings.register_profile("quick", max_examples=30, deadline=None, database=None)
    settings.register_profile("thorough", max_examples=2000, deadline=None)
    settings.load_profile("thorough" if os.environ.get("NUCLEUS_THOROUGH") else "quick")


def pytest_collection_finish() -> None:
    """Garbage is looked for among what tests leave, not in all that was imported: a tenth of the time of quick tests."""
    gc.freeze()
    gc.enable()
