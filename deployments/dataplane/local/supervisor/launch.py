"""Starts one program with exactly the environment that its spec file names, and nothing else.

supervisord runs `python -I -S launch.py SPEC.json`, so that no value ever stands in supervisord's
configuration or in an argument list. Standard library only: it runs before anything else is there, and must
start in milliseconds. The process keeps its pid, which is also its process group (supervisord makes one per
program).

A spec that names a warm parent is started from that where it can be (`warm/ask.py`): then another process, forked
from the parent, takes this one's place, and this one ends.
"""

import contextlib
import json
import os
import signal
import stat
import sys
import time
from typing import Any, NoReturn

# A start of Airflow takes all cores for a minute. The console and its Postgres go before it, so that pages answer and
# statuses stay true: 5 is a third of their weight where both want the same core, and costs nothing where they do not.
# Not more: whatever else runs on this machine would starve Airflow.
NICE = 5
# What ended so soon after a warm start is started cold the next time. It is what supervisord calls a failed start.
SOON_SECONDS = 15.0
TAGS = ("AIRDECK_STATE", "AIRDECK_DEPLOYMENT")  # whose a process is (`specs.py`)
PROJECT = __file__.rpartition("/deployments/")[0]


def _noted(path: str) -> dict[str, Any]:
    """What the last start wrote down."""
    try:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
    except (OSError, ValueError):
        return {}
    return before if isinstance(before, dict) else {}


def _record_start(path: str, before: dict[str, Any], digest: str) -> None:
    """Say which spec this pid runs, and how often it was started: the driver restarts only what changed."""
    starts = before.get("starts", 0) + 1 if before.get("digest") == digest else 1
    _write(path, {"pid": os.getpid(), "digest": digest, "starts": starts})


def _write(path: str, note: dict[str, Any]) -> None:
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(note, file)
    os.replace(draft, path)


def _end_group(leader: int, tags: set[bytes]) -> None:
    """End what a killed predecessor left in its process group (a scheduler's task runners, a worker's pool).

    While a member lives, the kernel gives its group's number to no other. But the predecessor may have ended long ago,
    even before the machine was started, and the number be that of strangers: a running process of that very pid, or
    others whose own leader has ended. They are left alone, for they do not carry all our `tags`.
    """
    if leader <= 1 or leader == os.getpid():
        return
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, 0)
            _end_members(leader, tags)
    except PermissionError:
        return


def _end_members(group: int, tags: set[bytes]) -> None:
    if not os.path.isdir("/proc/self"):  # not Linux
        os.killpg(group, signal.SIGKILL)
        return
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[2]) == group and tags <= _environment(pid):
                os.kill(int(pid), signal.SIGKILL)


def _environment(pid: str) -> set[bytes]:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return set(file.read().split(b"\0"))


def main(path: str) -> None:
    """Read the spec (argv, env, cwd, started, digest, perhaps warm and fence), note that it was started,
    and become the program.

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
    before = _noted(spec["started"])
    tags = {f"{name}={spec['env'][name]}".encode() for name in TAGS if name in spec["env"]}
    _end_group(before.get("pid", 0), tags)
    _record_start(spec["started"], before, spec["digest"])
    if spec.get("warm"):
        why = _start_warm(spec, before)
        print(f"launch.py: started cold: {why}.", file=sys.stderr, flush=True)
    if spec.get("fence"):  # a warm start has put it up in `warm/child.py`
        _confine(spec["fence"])
    _become(spec)


def _confine(fence: dict[str, Any]) -> None:
    """Confine this process to its own Deployment. Without its fence the program does not run."""
    sys.path.insert(0, PROJECT)
    from deployments.dataplane.local.fence.confine import CannotConfine, confine

    try:
        confine(fence)
    except CannotConfine as reason:
        sys.exit(f"launch.py: not started: {reason}.")


def _become(spec: dict[str, Any]) -> NoReturn:
    # In UTF-8 whatever the locale: a value arrives byte for byte as it was set.
    env = {key.encode(): value.encode(errors="surrogateescape") for key, value in spec["env"].items()}
    os.execve(spec["argv"][0], spec["argv"], env)  # noqa: S606 - never through a shell


def _start_warm(spec: dict[str, Any], before: dict[str, Any]) -> str:
    """Ends this process when the program has been started warm; says why when it has not."""
    since = time.time() - before.get("warm", 0)
    if before.get("digest") == spec["digest"] and 0 <= since < SOON_SECONDS:
        return "it ended soon after its last warm start"
    sys.path.insert(0, PROJECT)
    try:
        from deployments.dataplane.local.warm import ask
    except ImportError as error:
        return str(error)
    note = spec["started"]
    try:
        ask.start(spec, lambda pid: _write(note, _noted(note) | {"pid": pid, "warm": time.time()}))
    except ask.NotWarm as reason:
        return str(reason)
    except Exception as error:  # whatever it is, the program can be started cold
        return f"the warm start failed ({type(error).__name__})"


if __name__ == "__main__":
    main(sys.argv[1])
