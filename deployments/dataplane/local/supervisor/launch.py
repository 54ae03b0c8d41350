"""Starts one program with exactly the environment that its spec file names, and nothing else.

supervisord runs `python -I -S launch.py SPEC.json`, so that no value ever stands in supervisord's
configuration or in an argument list. Standard library only: it runs before anything else is there, and must
start in milliseconds. The process keeps its pid, which is also its process group (supervisord makes one per
program).
"""

import contextlib
import json
import os
import signal
import stat
import sys

# A start of Airflow takes all cores for a minute. The console and its Postgres go before it, so that pages answer and
# statuses stay true. A page costs 33 ms of CPU: twenty a second need two thirds of a core. Five processes that start at
# a third of its weight (5) do not leave that to one thread on two cores; at a tenth (10) they do. It costs nothing
# where nobody else wants the core. Not more: whatever else runs on this machine would starve Airflow.
NICE = 10


def _record_start(path: str, digest: str) -> None:
    """Say which spec this pid runs, and how often it was started: the driver restarts only what changed."""
    try:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
    except (OSError, ValueError):
        before = {}
    _end_group(before.get("pid", 0))
    starts = before.get("starts", 0) + 1 if before.get("digest") == digest else 1
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "digest": digest, "starts": starts}, file)
    os.replace(draft, path)


def _end_group(leader: int) -> None:
    """End what a killed predecessor left in its process group (a scheduler's task runners, a worker's pool).

    While a member lives, the kernel gives its group's number to nobody else. A living process of that very
    pid is a stranger that got the number after the group was empty: it is left alone.
    """
    if leader <= 1 or leader == os.getpid():
        return
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
    except PermissionError:
        return


def main(path: str) -> None:
    """Read the spec (argv, env, cwd, started, digest), note that it was started, and become the program.

    Refuses a spec that others could have written or can read: it holds secrets.
    """
    with open(path, encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            sys.exit(f"{path} must be readable by its owner alone.")
        spec = json.load(file)
    os.umask(0o077)
    os.chdir(spec["cwd"])
    os.nice(NICE)
    _record_start(spec["started"], spec["digest"])
    # In UTF-8 whatever the locale: a value arrives byte for byte as it was set.
    env = {key.encode(): value.encode(errors="surrogateescape") for key, value in spec["env"].items()}
    os.execve(spec["argv"][0], spec["argv"], env)  # noqa: S606 - never through a shell


if __name__ == "__main__":
    main(sys.argv[1])
