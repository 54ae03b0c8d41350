"""Starts one program with exactly the environment that its spec file names, and nothing else.

supervisord runs `python -I -S launch.py SPEC.json`, so that no value ever stands in supervisord's
configuration or in an argument list. Standard library only: it runs before anything else is there, and must
start in milliseconds. The process keeps its pid, which is also its process group (supervisord makes one per
program).
"""

import json
import os
import stat
import sys


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
    # Which spec this pid runs: the driver compares it with the wanted one and restarts only what changed.
    note = f"{spec['started']}.{os.getpid()}"
    with open(note, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "digest": spec["digest"]}, file)
    os.replace(note, spec["started"])
    os.execve(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - never through a shell


if __name__ == "__main__":
    main(sys.argv[1])
