"""Following an operation: exactly the one that this command began, with the steps that its page shows."""

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from airdeck_cli.client import Answer, Client
from airdeck_cli.errors import CONFLICT, FAILED, INTERRUPTED, TIMED_OUT, UNREACHABLE, CliError
from airdeck_cli.output import clean, note

Command = TypeVar("Command", bound=Callable[..., Any])

LONGEST_POLL = 25  # seconds of one question
POLL_UNTAGGED = 2  # where a proxy takes the ETag away: then only the end is answered at once
SIGNS = {"done": "✓", "running": "…", "failed": "✗", "pending": " "}
PLAIN = {"done": "ok  ", "running": "... ", "failed": "FAIL", "pending": "    "}


def wait_options(seconds: int) -> Callable[[Command], Command]:
    """-w/--wait and --wait-time."""

    def add(function: Command) -> Command:
        function = click.option(
            "--wait-time",
            default=seconds,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait at most.",
        )(function)
        return click.option("-w", "--wait", is_flag=True, help="Follow it to its end.")(function)

    return add


class Away:
    """A console that does not answer while something is waited for: for a minute that is a restart, and waited out."""

    def __init__(self, seconds: float) -> None:
        self._most, self._since = min(60.0, seconds), 0.0

    def outlasts(self, error: CliError) -> bool:
        """Whether to ask again after this error; a moment has passed then."""
        self._since = self._since or time.monotonic()
        if error.exit_code != UNREACHABLE or time.monotonic() - self._since > self._most:
            return False
        note(f"{error} Trying again.")
        time.sleep(2)
        return True

    def is_over(self) -> None:
        """The console answered: from now on it is not silent."""
        self._since = 0.0


def follow(client: Client, operation: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Until it is done; its last state. Prints each step once, on stderr. Raises CliError when it fails, when a later
    wish takes its place, and when time is up; the work itself goes on then."""
    shown: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    etag, longest, away = "", 0, Away(seconds)
    try:
        while True:
            _print(operation, shown)
            if operation["status"] != "running":
                return _ended(operation)
            left = deadline - time.monotonic()
            if left <= 0:
                raise CliError(f"It is not done after {seconds:.0f} s. {_goes_on(operation)}", TIMED_OUT)
            try:
                answer = client.send(
                    "GET",
                    f"/operations/{operation['id']}",
                    query={"wait": max(1, min(longest, int(left))) if longest else 0},
                    headers={"If-None-Match": etag} if etag else {},
                )
            except CliError as error:
                if not away.outlasts(error):
                    raise CliError(f"{error} {_goes_on(operation)}", error.exit_code) from None
                continue
            away.is_over()
            etag = answer.etag
            longest = LONGEST_POLL if etag else POLL_UNTAGGED
            operation = answer.body
    except KeyboardInterrupt:
        raise CliError(f"No longer waiting. {_goes_on(operation)}", INTERRUPTED) from None


def newest(client: Client, found: dict[str, Any]) -> dict[str, Any] | None:
    """The operation that a Deployment (its document) is busy with, begun by an earlier command or by a request whose
    answer was lost. Raises CliError."""
    creating = found["status"] == "creating"
    if not creating and found["applied_generation"] >= found["generation"]:
        return None
    kind = "create" if creating else "change"
    operation: dict[str, Any] = client.get(
        f"/operations/{found['release_name']}.{kind}.{found['generation']}"
    )
    return operation


def follow_newest(client: Client, release_name: str, seconds: float) -> dict[str, Any] | None:
    """What a Deployment is busy with already, to its end. Raises CliError as `follow`."""
    operation = newest(client, client.get(f"/deployments/{release_name}"))
    return follow(client, operation, seconds) if operation else None


def follow_change(
    client: Client, answer: Answer, release_name: str, *, wait: bool, seconds: float
) -> dict[str, Any]:
    """What a change of a Deployment was answered with, its operation followed to its end with `wait`. Where the change
    was made before, by an earlier command or by a request whose answer was lost, that operation is followed. Raises
    CliError as `follow`."""
    body: dict[str, Any] = answer.body or {"operation": None}
    if answer.body is None or (answer.repeated and body["operation"] is None):
        found = client.get(f"/deployments/{release_name}")
        body = {**body, "deployment": found, "operation": newest(client, found)}
    operation = body["operation"]
    if wait:
        operation = (
            follow(client, operation, seconds) if operation else follow_newest(client, release_name, seconds)
        )
    return {**body, "operation": operation}


def _goes_on(operation: dict[str, Any]) -> str:
    return f"The work goes on. Look at {operation['url']} or run: airdeck wait {operation['id']}"


def _ended(operation: dict[str, Any]) -> dict[str, Any]:
    sentence = clean(operation["sentence"])
    if operation["status"] == "done":
        if sentence:
            note(sentence)
        return operation
    if operation["status"] == "superseded":
        raise CliError(sentence or "A later change took its place.", CONFLICT)
    raise CliError(f"{sentence or 'It failed.'} See {operation['url']}", FAILED)


def _print(operation: dict[str, Any], shown: dict[str, str]) -> None:
    """What changed since the last look: a step as it begins, and as it ends."""
    signs = SIGNS if _speaks_unicode() else PLAIN
    for step in operation["steps"]:
        line = f"{signs[step['state']]} {clean(step['title'])}"
        if step["state"] == "pending" or shown.get(step["key"]) == line:
            continue
        shown[step["key"]] = line
        more = clean(step["sentence"])
        note(f"{line}: {more}" if more and step["state"] != "running" else line)
    sentence = clean(operation["sentence"])
    if operation["status"] == "running" and sentence and shown.get("") != sentence:
        shown[""] = sentence
        note(f"  {sentence}")


def _speaks_unicode() -> bool:
    encoding = str(sys.stderr.encoding or "ascii")
    return "utf" in encoding.lower()
