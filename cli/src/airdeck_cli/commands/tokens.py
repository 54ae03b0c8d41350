"""airdeck token list, create, rotate, revoke."""

from typing import Any

import click

from airdeck_cli.client import Client, look
from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.finding import Command, find_deployment, which_deployment, workspace_place
from airdeck_cli.groups import Group
from airdeck_cli.output import confirm, note, output_option, print_table, show
from airdeck_cli.session import Globals


def scope_options(function: Command) -> Command:
    """Whose tokens: one's own without any of them."""
    function = click.option("--workspace", metavar="NAME", default="", help="Those of this Workspace.")(
        function
    )
    return which_deployment("Those of this Deployment: its release name or its name.")(function)


def _place(client: Client, workspace: str, deployment: str) -> str:
    """Their address in the API. Raises CliError."""
    if deployment:
        return f"/deployments/{find_deployment(client, deployment, '')['release_name']}/tokens"
    if workspace:
        return f"{workspace_place(client, workspace)[0]}/tokens"
    return "/me/tokens"


def _find(client: Client, place: str, typed: str) -> dict[str, Any]:
    """The token with this id, name or beginning. Raises CliError when it is none, or several."""
    rows: list[dict[str, Any]] = client.get(place)["items"]
    found = [row for row in rows if typed in {row["id"], row["name"], row["beginning"]}]
    if len(found) == 1:
        return found[0]
    if found:
        raise CliError(f"Several API tokens are named {typed}. Use the id: airdeck token list -o json", USAGE)
    raise CliError(f"There is no API token {typed} there. List them with: airdeck token list", USAGE)


@click.group(cls=Group)
def token() -> None:
    """API tokens: your own, or with --workspace or --deployment those of a Workspace or of a Deployment.

    To make, rotate or revoke one you must have signed in with airdeck login within the last five minutes.
    """


@token.command("list")
@scope_options
@output_option
@click.pass_obj
def list_(at: Globals, /, workspace: str, deployment: str, output: str) -> None:
    """List API tokens. No value is printed: only the program that was given it has it."""
    client = at.client()
    rows = client.get(_place(client, workspace, deployment))["items"]
    heads = ("NAME", "BEGINS WITH", "ROLE", "MADE BY", "EXPIRES", "LAST USED")

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        ends = "expired" if row["expired"] else row["expires_at"][:10] if row["expires_at"] else "never"
        used = (row["last_used_at"] or "never")[:10]
        return (row["name"], row["beginning"], row["role"].capitalize(), row["made_by"], ends, used)

    empty = "No API tokens. Create one with: airdeck token create -n NAME"
    show(rows, output, lambda: print_table(heads, [line(row) for row in rows], empty=empty))


@token.command()
@click.option("-n", "--name", required=True, help="Where it is used; the Activity names it.")
@click.option(
    "-r",
    "--role",
    type=click.Choice(["member", "editor", "admin"], case_sensitive=False),
    default="editor",
    help="What it may do at most; by default Editor.",
)
@click.option("--description", default="", help="What it is for.")
@click.option("--days", type=int, default=90, help="Days until it expires; by default 90.")
@click.option("--never-expires", is_flag=True, help="It never expires.")
@scope_options
@output_option
@click.pass_obj
def create(
    at: Globals,
    /,
    name: str,
    role: str,
    days: int,
    never_expires: bool,
    workspace: str,
    deployment: str,
    **more: str,
) -> None:
    """Create an API token and print its value, this once. Nothing else is on standard output."""
    client = at.client()
    body = {
        "name": name,
        "role": role.lower(),
        "description": more["description"],
        "days": None if never_expires else days,
    }
    shows = look("airdeck token list", workspace=workspace, deployment=deployment)
    lost = f"If it is there, revoke it, because its value is lost. {shows}"
    made = client.send("POST", _place(client, workspace, deployment), body, lost=lost).body
    _print(made, more["output"])


@token.command()
@click.argument("token")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@scope_options
@output_option
@click.pass_obj
def rotate(at: Globals, /, token: str, yes: bool, workspace: str, deployment: str, output: str) -> None:
    """Give an API token a new value. It is printed this once; the old one ends at once.

    TOKEN is its id, its name or its first characters.
    """
    client = at.client()
    place = _place(client, workspace, deployment)
    row = _find(client, place, token)
    question = f"Rotate {row['name']}? The value that programs have now stops working at once."
    if not confirm(question, yes=yes, otherwise="Say --yes to rotate it."):
        raise CliError("Nothing was rotated.")
    lost = (
        f"The value before may have ended, and the new one is lost. Rotate it again, by its id: {row['id']}"
    )
    _print(client.send("POST", f"{place}/{row['id']}/rotate", lost=lost).body, output)


@token.command()
@click.argument("token")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@scope_options
@click.pass_obj
def revoke(at: Globals, /, token: str, yes: bool, workspace: str, deployment: str) -> None:
    """Revoke an API token. Programs with it are refused from their next request on.

    TOKEN is its id, its name or its first characters.
    """
    client = at.client()
    place = _place(client, workspace, deployment)
    row = _find(client, place, token)
    if not confirm(f"Revoke {row['name']}?", yes=yes, otherwise="Say --yes to revoke it."):
        raise CliError("Nothing was revoked.")
    client.send("DELETE", f"{place}/{row['id']}")
    click.echo(f"{row['name']} is revoked.")


def _print(made: dict[str, Any], output: str) -> None:
    row = made["token"]
    ends = f"expires on {row['expires_at'][:10]}" if row["expires_at"] else "never expires"
    note(f"{row['name']}, {row['role'].capitalize()}, {ends}. This is the only time that its value is shown.")
    show(made, output, lambda: click.echo(made["value"]))
