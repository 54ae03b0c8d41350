"""What each process does first."""

import importlib
import os
import sys


def load_settings() -> None:
    """Import the settings, or end with 1 after the sentence that says which one is missing or cannot be. What comes
    out of an import otherwise is shown with fifty lines of the program's own above it."""
    module = os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        importlib.import_module(module)
    except ValueError as error:
        sys.exit(str(error))


def no_connection(error: Exception) -> str | None:
    """The sentence for a database that no connection is made to; None where there was one, and something else failed:
    that a server answered has a code of its own."""
    if getattr(error.__cause__, "sqlstate", None) is not None:
        return None
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"Postgres cannot be used (DATABASE_URL): {' '.join(map(str.strip, lines))[:500]}"
