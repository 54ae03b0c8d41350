"""From what a person typed to a Deployment or a Workspace. Names are looked up where the person works."""

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from airdeck_cli.client import Client
from airdeck_cli.errors import USAGE, CliError

Command = TypeVar("Command", bound=Callable[..., Any])

RELEASE_NAME = re.compile(r"[a-z]+-[a-z]+-[0-9]{4}")


def deployment_argument(function: Command) -> Command:
    """`[DEPLOYMENT]`, its release name or name; `-n NAME` as Astro has it; else AIRDECK_DEPLOYMENT."""
    function = click.option(
        "-n", "--deployment-name", "named", metavar="NAME", default="", help="The Deployment of this name."
    )(function)
    return click.argument("deployment", default="", metavar="[DEPLOYMENT]")(function)


def deployment_option(function: Command) -> Command:
    """`-d DEPLOYMENT`, for commands whose arguments are something else."""
    function = click.option(
        "--deployment-name", "named", metavar="NAME", default="", help="The Deployment of this name."
    )(function)
    return which_deployment("The Deployment: its release name or its name.")(function)


def which_deployment(help_text: str) -> Callable[[Command], Command]:
    """`-d DEPLOYMENT` alone, with what it is for."""
    return click.option(
        "-d",
        "--deployment-id",
        "--deployment",
        "deployment",
        metavar="DEPLOYMENT",
        default="",
        help=help_text,
    )


def _where() -> str:
    """Where this command takes it."""
    command = click.get_current_context().command
    takes = any(isinstance(each, click.Argument) and each.name == "deployment" for each in command.params)
    return "after the command" if takes else "with -d"


def find_deployment(client: Client, deployment: str, named: str) -> dict[str, Any]:
    """The Deployment that is meant. Raises CliError when it is none, or several."""
    typed = named or deployment or os.environ.get("AIRDECK_DEPLOYMENT", "").strip()
    if not typed:
        raise CliError(
            f"Name the Deployment {_where()}, by its release name or its name, or set AIRDECK_DEPLOYMENT.",
            USAGE,
        )
    if not named and RELEASE_NAME.fullmatch(typed):
        found: dict[str, Any] = client.get(f"/deployments/{typed}")
        return found
    place = chosen_workspace(client)
    rows = list(
        client.pages(f"/workspaces/{place['id']}/deployments" if place else "/deployments", name=typed)
    )
    if len(rows) == 1:
        return rows[0]
    if rows:
        listed = ", ".join(f"{row['release_name']} in {row['workspace']['name']}" for row in rows)
        raise CliError(f"Several Deployments are named {typed}: {listed}. Use the release name.", USAGE)
    where = f" in the Workspace {place['name']}" if place else ""
    raise CliError(f"There is no Deployment {typed}{where}. List them with: airdeck deployment list", USAGE)


def chosen_workspace(client: Client, *, named: str = "") -> dict[str, Any] | None:
    """The Workspace by this name, else the current one; None when no name is given and none is current. Raises CliError
    when there is none of that name, or several."""
    name = named or client.context.workspace_name
    if not name:
        return None
    if not named and client.context.workspace:
        return {"id": client.context.workspace, "name": name}
    rows = list(client.pages("/workspaces", name=name))
    exact = [row for row in rows if row["name"] == name] or rows
    if not exact:
        raise CliError(f"There is no Workspace {name}. List them with: airdeck workspace list", USAGE)
    return _only(exact)


def workspace_of(client: Client, *, named: str = "") -> dict[str, Any]:
    """The Workspace by this name, else the current one, else the only one. Raises CliError when it is not clear."""
    chosen = chosen_workspace(client, named=named)
    if chosen is not None:
        return chosen
    rows = list(client.pages("/workspaces"))
    if not rows:
        raise CliError("This token reaches no Workspace.", USAGE)
    return _only(rows)


def _only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    if len(rows) == 1:
        return rows[0]
    listed = ", ".join(row["name"] for row in rows[:20])
    raise CliError(
        f"Which Workspace? There are {listed}. Use --workspace, or: airdeck workspace switch NAME", USAGE
    )


def workspace_place(client: Client, workspace: str) -> tuple[str, str]:
    """The address of `workspace_of` in the API, and its name. Raises CliError."""
    found = workspace_of(client, named=workspace)
    return f"/workspaces/{found['id']}", found["name"]


workspace_option = click.option(
    "--workspace", metavar="NAME", default="", help="The Workspace of this name instead of the current one."
)
