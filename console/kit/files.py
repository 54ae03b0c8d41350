"""Files that only their owner reads."""

import os
from contextlib import suppress
from pathlib import Path


def write_private(file: Path, text: str) -> bool:
    """Make `file` hold `text`, with mode 0600 and at once: after a crash it holds the old text or the new one, never
    half. Returns whether that changed anything."""
    with suppress(FileNotFoundError):
        if file.stat().st_mode & 0o777 == 0o600 and file.read_text() == text:
            return False
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    return True
