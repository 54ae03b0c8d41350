#!/usr/bin/env python
"""Django's command line. `manage.py up` starts the embedded default."""

import os
import sys


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if sys.version_info < (3, 12):
        sys.exit(f"Airdeck needs Python 3.12 or newer; this is {sys.version.split()[0]}. Install Python 3.13.")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
