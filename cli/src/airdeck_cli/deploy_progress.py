"""Following a deploy to its end, with what is wrong in its files when it fails."""

import time
from datetime import UTC, datetime
from typing import Any

from airdeck_cli.client import Client
from airdeck_cli.errors import FAILED, INTERRUPTED, TIMED_OUT, CliError
from airdeck_cli.following import Away, follow
from airdeck_cli.output import clean, note

WATCH_SECONDS = 62.0  # the console looks for a minute after a deploy is active for files that do not import
PAUSE = 2.0
UNDER_WAY = {"received", "checking", "building", "activating"}


def follow_deploy(
    client: Client, release_name: str, number: int, operation: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The operation of the deploy of this number, at its end. Raises CliError as `follow`, with what is wrong in
    files."""
    try:
        return follow(client, operation, seconds)
    except CliError as failed:
        if failed.exit_code == FAILED:
            failed.errors = file_problems(client, release_name, number)
        raise


def file_problems(client: Client, release_name: str, number: int) -> dict[str, str]:
    """What is wrong with files of a deploy, by path and line."""
    return problems_of(client.get(f"/deployments/{release_name}/deploys/{number}"))


def problems_of(one: dict[str, Any]) -> dict[str, str]:
    """The same of a deploy that was asked for already."""
    return {
        f"{each['path']}:{each['line']}" if each["line"] else each["path"]: each["error"]
        for each in [*one["syntax_problems"], *one["import_problems"]]
    }


def follow_imports(client: Client, release_name: str, number: int, seconds: float) -> None:
    """Until Airflow has read the files of an active deploy, which takes up to a minute. Raises CliError when one does
    not import, when Airflow does not read it, and when time is up. While it hibernates it reads nothing, and a note
    says so."""
    deadline, away = time.monotonic() + seconds, Away(seconds)
    try:
        while True:
            try:
                one = client.get(f"/deployments/{release_name}/deploys/{number}")
            except CliError as error:
                if not away.outlasts(error):
                    raise
                continue
            away.is_over()
            if _is_read(one):
                return
            if time.monotonic() >= deadline:
                sentence = "The time to wait is over before Airflow has read all of it."
                raise CliError(f"{sentence} See {one['url']}", TIMED_OUT)
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        raise CliError(f"No longer waiting. Deploy {number} is active.", INTERRUPTED) from None


def _is_read(one: dict[str, Any]) -> bool:
    """Whether there is nothing more to wait for. Raises CliError when a file does not import, or nothing was read."""
    step = next((each for each in one["steps"] if each["key"] == "read"), None)
    if step is None:
        return True
    words = clean(step["sentence"])
    if problems := problems_of(one):
        raise CliError(words or clean(one["sentence"]), FAILED, errors=problems)
    if step["state"] == "failed":
        raise CliError(f"{words} See {one['url']}", FAILED)
    asleep = step["state"] == "pending" and words
    active = datetime.fromisoformat(one["activated_at"]) if one["activated_at"] else None
    watched = active is not None and (datetime.now(UTC) - active).total_seconds() > WATCH_SECONDS
    if not asleep and not (watched and step["state"] == "done"):
        return False
    note(words)
    return True
