"""airdeck deployment variable revisions, rollback."""

from typing import Any

import click

from airdeck_cli.client import Answer, look
from airdeck_cli.errors import FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, deployment_option, find_deployment
from airdeck_cli.following import follow_change, wait_options
from airdeck_cli.output import clean, confirm, moment, note, output_option, print_table, show
from airdeck_cli.session import Globals

KINDS = (("added", "+"), ("changed", "~"), ("removed", "-"))


@click.command()
@deployment_argument
@output_option
@click.pass_obj
def revisions(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """List the changes of variables that are kept, the newest first. No value is shown."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    rows = client.get(f"/deployments/{found['release_name']}/variable-revisions")["items"]
    heads = ("REVISION", "BY", "AT", "ADDED", "CHANGED", "REMOVED")

    def line(row: dict[str, Any]) -> tuple[Any, ...]:
        names = (", ".join(row[kind]) for kind, _ in KINDS)
        return (row["number"], row["actor"], moment(row["created_at"]), *names)

    empty = f"The variables of {found['name']} were never changed."
    show(rows, output, lambda: print_table(heads, [line(row) for row in rows], empty=empty))


@click.command()
@click.argument("number", type=int)
@deployment_option
@click.option("--dry-run", is_flag=True, help="Only say what it would change.")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(300)
@output_option
@click.pass_obj
def rollback(
    at: Globals,
    /,
    number: int,
    deployment: str,
    named: str,
    dry_run: bool,
    yes: bool,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Make the variables what revision NUMBER left them, secrets included, as a new revision."""
    if number < 1:
        raise CliError("Revisions are counted from 1.", USAGE)
    client = at.client()
    found = find_deployment(client, deployment, named)
    path = f"/deployments/{found['release_name']}/variable-revisions/{number}/rollback"
    plan = client.send("POST", path, query={"dry_run": "true"}, repeatable=True)
    would = plan.body
    if dry_run:
        show(would, output, lambda: _print(would, nothing=f"{found['name']} has these variables already."))
        return
    if any(would[kind] for kind, _ in KINDS):
        for line in _lines(would):
            note(line)
        question = f"Make the variables of {found['name']} what revision {number} left?"
        if not confirm(question, yes=yes, otherwise="Go back with --yes."):
            raise CliError("Nothing was changed.", FAILED)
    shows = look(f"airdeck deployment variable revisions {found['release_name']}")
    made = client.send("POST", path, headers=_unchanged_since(plan), lost=shows)
    answer = follow_change(client, made, found["release_name"], wait=wait, seconds=wait_time)
    operation = answer["operation"]

    def table() -> None:
        if answer["revision"] is None:
            click.echo(f"{found['name']} has these variables already. There is nothing to do.")
            return
        click.echo(f"Revision {answer['revision']} of the variables of {found['name']} is saved.")
        if operation and not wait:
            click.echo(f"Airflow restarts with them. Follow it with: airdeck wait {operation['id']}")

    show(answer, output, table)


def _unchanged_since(plan: Answer) -> dict[str, str]:
    """The header by which nothing is done when another person changed the variables since."""
    return {"If-Match": plan.etag} if plan.etag else {}


def _print(would: dict[str, Any], *, nothing: str) -> None:
    for line in _lines(would) or [nothing]:
        click.echo(line)


def _lines(would: dict[str, Any]) -> list[str]:
    lines = [f"{sign} {clean(key)}" for kind, sign in KINDS for key in would[kind]]
    return lines + [f"Left out: {clean(each['key'])}. {clean(each['reason'])}" for each in would["refused"]]
