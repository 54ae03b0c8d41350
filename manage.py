#!/usr/bin/env python
"""Django's command line. `manage.py up` starts the embedded default."""

import os
import sys


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if sys.version_info < (3, 13):  # noqa: UP036 - this file is what an older Python meets first
        sys.exit(f"Airdeck needs Python 3.13 or newer; this is {sys.version.split()[0]}.")
    if sys.argv[1:2] == ["up"]:
        # Before Django and its settings: `up` makes the keys that they need, and stays small while it waits.
        from console.embedded.up import main as up

        sys.exit(up(sys.argv[2:]))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
