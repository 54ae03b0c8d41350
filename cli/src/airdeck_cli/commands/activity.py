"""airdeck deployment activity and workspace activity: who did what."""

from collections.abc import Iterator
from typing import Any

import click

from airdeck_cli.finding import deployment_argument, find_deployment, workspace_option, workspace_place
from airdeck_cli.output import count_option, moment, output_option, show_newest
from airdeck_cli.session import Globals


@click.command("activity")
@deployment_argument
@count_option
@output_option
@click.pass_obj
def deployment_activity(at: Globals, /, deployment: str, named: str, count: int, output: str) -> None:
    """List what happened to a Deployment, the newest first."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    _print(client.pages(f"/deployments/{found['release_name']}/activity"), count, output)


@click.command("activity")
@workspace_option
@count_option
@output_option
@click.pass_obj
def workspace_activity(at: Globals, /, workspace: str, count: int, output: str) -> None:
    """List what happened in a Workspace, the newest first."""
    client = at.client()
    place, _ = workspace_place(client, workspace)
    _print(client.pages(f"{place}/activity"), count, output)


def _print(pages: Iterator[dict[str, Any]], count: int, output: str) -> None:
    show_newest(
        pages,
        count,
        output,
        ("AT", "WHAT"),
        lambda row: (moment(row["at"]), row["sentence"]),
        empty="Nothing happened so far.",
    )
