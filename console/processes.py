"""The processes of the console, each by one word: `python -m console.processes web`. The image's entry point.

It becomes the process, which then gets the signals itself. Further arguments are passed on to it. Every one ends by
itself on SIGTERM: web within 10 s, beat and observer within 5, a worker when its passes end, which is 45 s at most.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

BASE = Path(__file__).resolve().parent.parent
MANAGE = str(BASE / "manage.py")
# uvicorn would else trust X-Forwarded-* from every local process, wait for ever for a request that never ends, and let
# a request that was sent before the answer to another one find what that one knew: by which API token it acted.
WEB = (
    "--timeout-graceful-shutdown=5",
    "--no-proxy-headers",
    "--reset-contextvars",
    "--no-server-header",
    "--http=console.kit.slow_requests:Protocol",
    "--no-access-log",
    "--log-level=warning",
)
# Celery: there is no other worker to gossip with; the row's lease is the guarantee, so no task is fetched ahead of its
# turn.
WORKER = (
    "--queues=celery,passes",
    "--pool=prefork",
    "--concurrency=2",
    "--prefetch-multiplier=1",
    "--max-tasks-per-child=1000",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)
CELERY = ("-m", "celery", "--quiet")

ROLES: Mapping[str, tuple[str, ...]] = {
    "web": ("-m", "uvicorn", "console.asgi:application", *WEB),
    "worker": (*CELERY, "--app=console.celery:app", "worker", *WORKER),
    "beat": (*CELERY, "--app=console.beat:app", "beat", "--scheduler=console.beat:Scheduler"),
    "observer": (MANAGE, "observe"),
}
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "migrate": (MANAGE, "prepare"),
    "check": (MANAGE, "check", "--deploy", "--database=default"),
    "manage": (MANAGE,),
}


def argv(name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """What is run for the process or command `name`, with further arguments. Raises ValueError for another name."""
    if name in COMMANDS:
        return [sys.executable, *COMMANDS[name], *arguments]
    if name not in ROLES:
        raise ValueError(
            f"Airdeck has no process {name[:40]!r}: name one of {', '.join([*ROLES, *COMMANDS])}."
        )
    address = ["--host=0.0.0.0", f"--port={environ.get('PORT') or 8000}"] if name == "web" else []
    return [sys.executable, *ROLES[name], *address, *arguments]


def main(arguments: Sequence[str]) -> NoReturn:
    """Become that process, or end with 2 after a sentence on stderr."""
    name = arguments[0] if arguments else ""
    try:
        command = argv(name, arguments[1:], os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    role = name if name in ROLES else "command"
    os.chdir(BASE)
    os.execve(command[0], command, {**os.environ, "PROCESS_ROLE": role})  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    main(sys.argv[1:])
