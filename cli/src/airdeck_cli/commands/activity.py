"""airdeck deployment activity and workspace activity: who did what."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from airdeck_cli.finding import deployment_argument, find_deployment, workspace_option, workspace_place
from airdeck_cli.output import moment, note, output_option, print_table, show
from airdeck_cli.session import Globals

count_option = click.option(
    "-c", "--count", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)


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
    rows = list(islice(pages, count + 1))
    lines = [(moment(row["at"]), row["sentence"]) for row in rows[:count]]
    show(
        rows[:count],
        output,
        lambda: print_table(("AT", "WHAT"), lines, empty="Nothing happened so far."),
    )
    if len(rows) > count and output == "table":
        note(f"The newest {count} are listed.")
