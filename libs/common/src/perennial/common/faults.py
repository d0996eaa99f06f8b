"""Points at which a test may kill the process; nothing in production, where PERENNIAL_FAULTS is not set."""

import os
import signal


def point(name: str) -> None:
    """Die here as by kill -9, if the folder PERENNIAL_FAULTS holds a file of this name; once, for the file goes first.

    The file may come while the process runs. Pass points once a batch, not once an event.
    """
    folder = os.environ.get("PERENNIAL_FAULTS")
    if folder is None:
        return
    try:
        os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118 (no event loop waits for objects here)
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
