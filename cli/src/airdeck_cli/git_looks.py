"""Following a look at a Git repository to its end, and the deploy that comes of it."""

import time
from collections.abc import Callable
from typing import Any

import click

from airdeck_cli.client import Client
from airdeck_cli.deploy_progress import UNDER_WAY, follow_deploy
from airdeck_cli.errors import FAILED, INTERRUPTED, TIMED_OUT, CliError
from airdeck_cli.following import Away
from airdeck_cli.output import clean, note, show

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0  # seconds between two questions, half as long again each time
Source = dict[str, Any]


def path_of(found: dict[str, Any]) -> str:
    """Of the Git source of a Deployment, in the API."""
    return f"/deployments/{found['release_name']}/git-source"


def newest_deploy(client: Client, found: dict[str, Any]) -> int:
    """The number of its newest deploy, whatever it came from; 0 for none."""
    rows = client.get(f"/deployments/{found['release_name']}/deploys", limit=1)["items"]
    return int(rows[0]["number"]) if rows else 0


def to_trust(found: dict[str, Any], source: Source) -> str:
    """What to do about a host key that no one has trusted."""
    key, was = source["offered_host_key"], source["host_key"]
    other = f"another host key than the one that is trusted ({was})" if was else "a host key"
    how = f"airdeck git trust {key} -d {found['release_name']}"
    return f"The server shows {other}: {key}. Compare it with the one that your Git host publishes, then run: {how}"


def report(
    client: Client,
    found: dict[str, Any],
    source: Source,
    *,
    since: int | None,
    seconds: int,
    output: str,
    table: Callable[[dict[str, Any], Source], None],
    trusts_later: bool = False,
) -> None:
    """Print what came of it. With `since` (see `newest_deploy`) it waits until the look and the deploy that came
    of it are over, for at most so many seconds. Raises CliError when nothing came of it; with `trusts_later` a host key
    that no one has trusted yet is no failure."""
    if since is None:
        show(source, output, lambda: table(found, source))
        return
    begun = time.monotonic()
    looked = _until_looked(client, path_of(found), source, seconds)
    left = max(0.0, seconds - (time.monotonic() - begun))
    number = looked["deploy"]
    if looked["state"] == "up_to_date" and looked["note"]:  # the newest deploy has that code, or is about to
        number = newest_deploy(client, found)
    operation = _follow_deploy(client, found["release_name"], number, since, left)
    show({**looked, "operation": operation}, output, lambda: table(found, looked))
    failed = _failure(found, looked)
    if failed is not None and not (trusts_later and looked["offered_host_key"]):
        raise failed
    if operation is not None and output == "table":
        click.echo(f"Deploy {number} is active.")


def _until_looked(client: Client, path: str, source: Source, seconds: float) -> Source:
    """The Git source once no worker looks at it or is about to. Raises CliError when time is up; the look itself goes
    on then."""
    deadline, pause, away = time.monotonic() + seconds, FIRST_PAUSE, Away(seconds)
    again = f"Look at {source['url']} or run: airdeck git show {path.split('/')[2]}"
    try:
        if source["looking"]:
            note(f"Looking at {clean(source['branch'])} of {clean(source['address'])}")
        while source["looking"]:
            if time.monotonic() >= deadline:
                raise CliError(
                    f"It was not looked at within {seconds:.0f} s. The work goes on. {again}", TIMED_OUT
                )
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
            try:
                source = client.get(path)
            except CliError as error:
                if not away.outlasts(error):
                    raise CliError(f"{error} The work goes on. {again}", error.exit_code) from None
                continue
            away.is_over()
    except KeyboardInterrupt:
        raise CliError(f"No longer waiting. The work goes on. {again}", INTERRUPTED) from None
    return source


def _follow_deploy(
    client: Client, release_name: str, number: int | None, since: int, seconds: float
) -> dict[str, Any] | None:
    """The operation of the deploy of this number, at its end; None when it is older than `since`, or was over before.
    Raises CliError as `follow`, with what is wrong in files."""
    if number is None or number < since:
        return None
    if number == since and not _is_under_way(client, release_name, number):
        return None
    operation = client.get(f"/operations/{release_name}.deploy.{number}")
    return follow_deploy(client, release_name, number, operation, seconds)


def _is_under_way(client: Client, release_name: str, number: int) -> bool:
    return number > 0 and client.get(f"/deployments/{release_name}/deploys/{number}")["status"] in UNDER_WAY


def _failure(found: dict[str, Any], source: Source) -> CliError | None:
    """Why what was asked for did not happen; None when it did, or there was nothing to do."""
    if source["offered_host_key"]:
        return CliError(to_trust(found, source), FAILED)
    if source["problem"]:
        return CliError(clean(source["problem"]), FAILED)
    if source["state"] == "not_deployed":
        return CliError(clean(source["note"]), FAILED)
    return None
