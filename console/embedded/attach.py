"""Commands of manage.py beside a running `up`: they find its database, its Redis and its keys by themselves."""

from collections.abc import Mapping
from pathlib import Path

from console.embedded import preflight, programs
from console.embedded.errors import Refusal

# One who sets one of these means another console.
CONFIGURED = (
    *preflight.PRODUCTION_ONLY,
    "SECRET_KEY",
    "SECRET_KEY_FILE",
    "ENCRYPTION_KEYS",
    "ENCRYPTION_KEYS_FILE",
)


def environment(environ: Mapping[str, str], *, default_state: Path) -> dict[str, str]:
    """What a command needs beyond `environ` to work on the console that runs in STATE_DIR: file names, no secret. Empty
    when none runs there, or when `environ` names another."""
    if any(environ.get(name) for name in CONFIGURED):
        return {}
    try:
        state = preflight.state_of(environ, default_state)
        running = preflight.in_use(state)
    except Refusal:  # this user runs nothing there
        return {}
    return programs.reach(state) if running else {}
