"""Says whether an image can run a Deployment. Runs in a pod of that image as `python -c`, with no network, no secrets
and no database; what it finds is the pod's termination message, at most 4,096 bytes.

The folders that it is given hold what Airdeck adds to every pod of Airflow. They are imported as Airflow imports them.
"""

import importlib
import json
import os
import sys
from pathlib import Path

MESSAGE = os.environ.get("AIRDECK_MESSAGE", "/dev/termination-log")
OURS = (  # by what a part of Airflow would import first
    "airdeck_served_bundle",
    "airdeck_logging",
    "airdeck_auth_manager",
)


def main(folders: list[str]) -> int:
    found = {"airflow": "", "python": sys.version.split()[0], "head": "", "problem": ""}
    try:
        airflow = importlib.import_module("airflow")
        found["airflow"] = str(airflow.__version__)
    except Exception as error:
        found["problem"] = f"Airflow cannot be imported: {_line(error)}"
        return _say(found)
    sys.path[:0] = folders
    found["head"] = _head()
    for name in OURS:
        if not any((Path(folder) / f"{name}.py").exists() for folder in folders):
            continue  # of an Airdeck that did not have it
        try:
            importlib.import_module(name)
        except Exception as error:
            found["problem"] = f"{name}.py of Airdeck cannot be imported: {_line(error)}"
            break
    return _say(found)


def _head() -> str:
    """The newest migration that this Airflow has; "" where Airflow does not say."""
    try:
        script = importlib.import_module("alembic.script")
        config = importlib.import_module("airflow.utils.db")._get_alembic_config()
        return str(script.ScriptDirectory.from_config(config).get_current_head() or "")
    except Exception:
        return ""


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]


def _say(found: dict[str, str]) -> int:
    with open(MESSAGE, "w", encoding="utf-8") as file:
        json.dump(found, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
