"""A headless Chromium that keeps everything it writes in one folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NEEDED = "PERENNIAL_NEED_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


def find() -> Path:
    """Where it is. Without one the test is skipped, or fails where PERENNIAL_NEED_BROWSER is set."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    missing = f"there is no {' or '.join(NAMES)}: `make browser` installs Chromium on Debian, as root"
    if os.environ.get(NEEDED):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def running(home: Path) -> Iterator[Browser]:
    """A browser whose profiles, caches and settings are below `home`."""
    executable = find()
    folders = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name, folder in folders.items():
                patch.setenv(name, folder)
            driver = stack.enter_context(sync_playwright())
        # It dies when the path of its socket, in here, has more than 107 bytes.
        folders["TMPDIR"] = min(str(home), os.path.relpath(home), key=len)
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS, env={**os.environ, **folders})
        yield browser
        browser.close()
