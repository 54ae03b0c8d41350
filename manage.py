#!/usr/bin/env python
"""Django's command line. `manage.py up` starts the embedded default."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command named on the command line."""
    if sys.version_info < (3, 12):  # noqa: UP036 - this file is what an older Python meets first
        sys.exit(f"Airdeck needs Python 3.12 or newer; this is {sys.version.split()[0]}.")
    from console.embedded import attach

    if sys.argv[1:2] == ["up"]:
        if not attach.is_installed():
            sys.exit(
                "`manage.py up` needs the packages of requirements.txt, which are not here: use `make run`."
            )
        # Before Django and its settings: `up` makes the keys that they need, and stays small while it waits.
        from console.embedded.up import main as up

        sys.exit(up(sys.argv[2:]))

    attach.attach(os.environ, default_state=Path(__file__).resolve().parent / ".local")
    _execute()


def _execute() -> None:
    from console.starting import load_settings

    load_settings()
    from django.conf import settings
    from django.core.management import execute_from_command_line
    from django.db import NotSupportedError, OperationalError

    from console.starting import no_connection

    try:
        execute_from_command_line(sys.argv)
    except NotSupportedError as error:  # an older Postgres than Django takes; it names both versions
        sys.exit(f"DATABASE_URL leads to another Postgres than Airdeck can use. {error}")
    except OperationalError as error:
        if settings.CONFIGURED:
            if (sentence := no_connection(error)) is None:
                raise
            sys.exit(sentence)
        sys.exit(
            f"This command needs a database. No console runs in {settings.STATE_DIR}: start it with `make run`, or set "
            "DATABASE_URL and the other variables of the console that is meant (README.md)."
        )


if __name__ == "__main__":
    main()
