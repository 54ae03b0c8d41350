"""airdeck workspace list, members, rename, switch."""

from dataclasses import replace
from typing import Any

import click

from airdeck_cli import contexts
from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.finding import workspace_of, workspace_option, workspace_place
from airdeck_cli.output import moment, output_option, print_table, show
from airdeck_cli.session import Globals


@click.command("list")
@output_option
@click.pass_obj
def workspace_list(at: Globals, /, output: str) -> None:
    """List the Workspaces that you reach."""
    client = at.client()
    rows = list(client.pages("/workspaces"))
    current = client.context.workspace_name
    heads = ("", "NAME", "ROLE", "ID")
    lines = [("*" if row["name"] == current else "", row["name"], row["role"], row["id"]) for row in rows]
    show(rows, output, lambda: print_table(heads, lines, empty="This token reaches no Workspace."))


@click.command("switch")
@click.argument("name")
@click.pass_obj
def workspace_switch(at: Globals, /, name: str) -> None:
    """Use this Workspace from now on."""
    client = at.client()
    found = workspace_of(client, named=name)
    chosen, known = contexts.read_all()
    label = at.context or chosen
    if label not in known or known[label].url != client.context.url:
        raise CliError("The console comes from the environment: set AIRDECK_WORKSPACE there.", USAGE)
    known[label] = replace(known[label], workspace=str(found["id"]), workspace_name=str(found["name"]))
    contexts.write_all(chosen, known)
    click.echo(f"The Workspace {found['name']} is used from now on.")


@click.command("rename")
@click.argument("name")
@workspace_option
@output_option
@click.pass_obj
def workspace_rename(at: Globals, /, name: str, workspace: str, output: str) -> None:
    """Give the Workspace another NAME; that takes an Admin."""
    client = at.client()
    found = workspace_of(client, named=workspace)
    renamed = client.send("PATCH", f"/workspaces/{found['id']}", {"name": name}).body
    chosen, known = contexts.read_all()
    if any(each.workspace == renamed["id"] for each in known.values()):
        for label, each in known.items():
            if each.workspace == renamed["id"]:
                known[label] = replace(each, workspace_name=str(renamed["name"]))
        contexts.write_all(chosen, known)
    show(renamed, output, lambda: click.echo(f"{found['name']} is {renamed['name']} from now on."))


@click.command()
@workspace_option
@output_option
@click.pass_obj
def members(at: Globals, /, workspace: str, output: str) -> None:
    """List who belongs to the Workspace, and who is invited."""
    client = at.client()
    place, name = workspace_place(client, workspace)
    people = list(client.pages(f"{place}/members"))
    invited = client.get(f"{place}/invitations")["items"]
    lines = [(row["name"], row["email"], row["role"], f"since {row['since'][:10]}") for row in people]
    lines += [("", row["email"], row["role"], _invited(row)) for row in invited]
    found = {"members": people, "invitations": invited}
    show(found, output, lambda: print_table(("NAME", "EMAIL", "ROLE", ""), lines, empty=f"{name} is empty."))


def _invited(row: dict[str, Any]) -> str:
    until = moment(row["expires_at"])
    return f"invited, expired on {until}" if row["expired"] else f"invited, until {until}"
