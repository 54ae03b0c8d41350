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
