"""Commands of manage.py beside a running `up`: they find its database, its Redis and its keys by themselves."""

import importlib.util
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from console.embedded.elsewhere import CONFIGURED, of_another_postgres


def attach(environ: MutableMapping[str, str], *, default_state: Path) -> None:
    """Make `environ` lead to the console that runs in STATE_DIR, where one does and it names no other."""
    found = environment(environ, default_state=default_state)
    for name in of_another_postgres(environ) if found else ():
        del environ[name]
    environ.update(found)


def environment(environ: Mapping[str, str], *, default_state: Path) -> dict[str, str]:
    """What a command needs beyond `environ` to work on the console that runs in STATE_DIR: file names, no secret. Empty
    when none runs there, when `environ` names another, or where `up` cannot run because its packages are missing."""
    if any(environ.get(name) for name in CONFIGURED) or not is_installed():
        return {}
    from console.embedded import preflight, programs
    from console.embedded.errors import StartRefused

    try:
        state = preflight.state_of(environ, default_state)
        running = preflight.in_use(state)
    except StartRefused:  # this user runs nothing there
        return {}
    return programs.reach(state) if running else {}


def is_installed() -> bool:
    """Whether the packages of the embedded default are here: production's image has none of them."""
    return importlib.util.find_spec("supervisor") is not None
