"""A worker beside the installation's own, for what is measured of several or of another one."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

ENDS_SECONDS = 60


@contextmanager
def running(module: str, *arguments: str) -> Iterator[None]:
    """`python -m MODULE …` takes messages while the block lasts; it ends by itself, or is ended after ENDS_SECONDS."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(ENDS_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
