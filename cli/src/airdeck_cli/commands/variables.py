"""airdeck deployment variable list, set, delete. `revisions` and `rollback` are in a file of their own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from airdeck_cli import standard_input
from airdeck_cli.client import Answer, Client
from airdeck_cli.commands.variable_revisions import revisions, rollback
from airdeck_cli.dotenv import written
from airdeck_cli.errors import CONFLICT, FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_option, find_deployment
from airdeck_cli.following import follow_change, wait_options
from airdeck_cli.groups import Group
from airdeck_cli.output import confirm, note, output_option, print_table, show
from airdeck_cli.session import Globals

MASK = "•••"
TRIES = 3  # when another person changes the variables at the same time


@click.group(cls=Group, aliases={"create": "set", "update": "set", "unset": "delete"})  # Astro's words
def variable() -> None:
    """Environment variables of a Deployment."""


@variable.command("list")
@deployment_option
@click.option("-k", "--key", default="", help="Only this one.")
@click.option("-s", "--save", is_flag=True, help="Write them to a file, secrets without their values.")
@click.option(
    "-e",
    "--env",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=".env",
    show_default=True,
    help="The file of --save.",
)
@output_option
@click.pass_obj
def variable_list(
    at: Globals, deployment: str, named: str, key: str, save: bool, file: Path, output: str
) -> None:
    """List variables. The value of a secret is never shown."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    rows = _read(client, found)[0]
    if key:
        rows = [row for row in rows if row["key"] == key]
        if not rows:
            raise CliError(f"{found['name']} has no variable {key}.", USAGE)
    if save:
        if file.exists():
            raise CliError(f"{file} exists. Name another file with --env.", USAGE)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(written(rows))
        note(f"{len(rows)} variables are written to {file}.")
        return
    lines_ = [
        (r["key"], MASK if r["secret"] else r["value"], "yes" if r["secret"] else "", r["updated_at"][:10])
        for r in rows
    ]
    show(
        rows,
        output,
        lambda: print_table(("KEY", "VALUE", "SECRET", "CHANGED"), lines_, empty="No variables."),
    )


@variable.command("set")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE | KEY]...")
@deployment_option
@click.option("-s", "--secret", is_flag=True, help="Keep the values secret: no one can read them again.")
@click.option("-l", "--load", is_flag=True, help="Take all variables of a .env file.")
@click.option(
    "-e",
    "--env",
    "file",
    type=click.Path(),
    default=".env",
    show_default=True,
    help="The file of --load; - is standard input.",
)
@wait_options(300)
@output_option
@click.pass_obj
def variable_set(
    at: Globals,
    /,
    settings: tuple[str, ...],
    deployment: str,
    named: str,
    secret: bool,
    load: bool,
    file: str,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Add variables, or change their values; the others stay.

    KEY alone takes the value from standard input, so that a secret is in no list of processes. A value may hold any =.
    """
    given = _given(settings)
    if load == bool(given):
        raise CliError("Say what to set: either KEY=VALUE, or --load with a .env file.", USAGE)
    if secret and any("=" in each for each in settings):
        note(
            "Warning: arguments are in the list of processes, and in the history of your shell. KEY alone takes the "
            "value from standard input."
        )
    text = _loaded(file) if load else ""
    client = at.client()
    found = find_deployment(client, deployment, named)
    if load:
        _import(client, found, text, file, secret=secret, wait=wait, seconds=wait_time, output=output)
        return

    def change(rows: dict[str, dict[str, Any]], _repeated: bool) -> None:
        for key, value in given.items():
            old = rows.get(key)
            rows[key] = {"key": key, "value": value, "secret": secret or bool(old and old["secret"])}

    _change(client, found, change, wait=wait, seconds=wait_time, output=output)


@variable.command("delete")
@click.argument("keys", nargs=-1, required=True)
@deployment_option
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(300)
@output_option
@click.pass_obj
def variable_delete(
    at: Globals,
    /,
    keys: tuple[str, ...],
    deployment: str,
    named: str,
    yes: bool,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Delete variables."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    if not confirm(
        f"Delete {', '.join(keys)} of {found['name']}?", yes=yes, otherwise="Delete them with --yes."
    ):
        raise CliError("Nothing was deleted.", FAILED)

    def change(rows: dict[str, dict[str, Any]], repeated: bool) -> None:
        if not repeated and (missing := [key for key in keys if key not in rows]):
            raise CliError(
                f"{found['name']} has no variable {', '.join(missing)}. Nothing was deleted.", USAGE
            )
        for key in keys:
            rows.pop(key, None)

    _change(client, found, change, wait=wait, seconds=wait_time, output=output)


def _given(settings: tuple[str, ...]) -> dict[str, str]:
    """Keys and values, split at the first =. Raises CliError."""
    bare = [each for each in settings if "=" not in each]
    if len(bare) > 1 and not standard_input.is_typed():
        raise CliError(
            f"Standard input holds one value, and {', '.join(bare)} want one each. Give one KEY in a command, or "
            "lines KEY=VALUE with: --load --env -",
            USAGE,
        )
    found: dict[str, str] = {}
    for each in settings:
        key, equals, value = each.partition("=")
        if not key:
            raise CliError(f"{each} has no key. Write KEY=VALUE.", USAGE)
        if not equals:
            if standard_input.is_typed():
                value = click.prompt(f"Value of {key}", hide_input=True, err=True)
            else:
                value = standard_input.text().removesuffix("\n")
        found[key] = value
    return found


def _loaded(file: str) -> str:
    try:
        return standard_input.text() if file == "-" else Path(file).read_text("utf-8-sig")
    except OSError as error:
        raise CliError(f"open {file}: {(error.strerror or 'it cannot be read').lower()}", USAGE) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8. Save it as UTF-8.", USAGE) from None


def _import(
    client: Client,
    found: dict[str, Any],
    text: str,
    file: str,
    *,
    secret: bool,
    wait: bool,
    seconds: int,
    output: str,
) -> None:
    """All variables of a file, as the console reads it, or none."""
    path = f"/deployments/{found['release_name']}/variable-import"
    try:
        answer = client.send("POST", path, {"text": text, "secret": secret}, repeatable=True)
    except CliError as refused:
        if refused.code == "file_refused":
            refused.args = (f"{file} cannot be loaded, and nothing was changed:",)
        raise
    for word, keys in (("Added", answer.body["added"]), ("Changed", answer.body["changed"])):
        if keys:
            note(f"{word}: {', '.join(keys)}")
    _report(client, found, answer, wait=wait, seconds=seconds, output=output)


def _read(client: Client, found: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    answer = client.send("GET", f"/deployments/{found['release_name']}/variables")
    return answer.body["items"], answer.etag


def _change(
    client: Client,
    found: dict[str, Any],
    change: Callable[[dict[str, dict[str, Any]], bool], None],
    *,
    wait: bool,
    seconds: int,
    output: str,
) -> None:
    """Read all, change some, and write all as one revision; what others changed in between is read again. `change` gets
    the rows, and whether a request was repeated after its answer was lost: they may be as wanted by then."""
    path = f"/deployments/{found['release_name']}/variables"
    repeated = False
    for attempt in range(TRIES):
        items, etag = _read(client, found)
        rows = {row["key"]: dict(row) for row in items}
        change(rows, repeated)
        body = {"items": [_sent(row) for row in rows.values()]}
        try:
            answer = client.send("PUT", path, body, headers={"If-Match": etag} if etag else {})
            break
        except CliError as refused:
            if refused.exit_code != CONFLICT or refused.status != 412 or attempt == TRIES - 1:
                raise
            repeated = repeated or refused.repeated
    answer.repeated = answer.repeated or repeated
    _report(client, found, answer, wait=wait, seconds=seconds, output=output)


def _report(
    client: Client, found: dict[str, Any], answer: Answer, *, wait: bool, seconds: int, output: str
) -> None:
    changed = answer.body["operation"] is not None or answer.repeated
    operation = follow_change(client, answer, found["release_name"], wait=wait, seconds=seconds)["operation"]

    def table() -> None:
        click.echo(
            f"The variables of {found['name']} are {'saved' if changed else 'as they were. There was nothing to do'}."
        )
        if operation and not wait:
            click.echo(f"Airflow restarts with them. Follow it with: airdeck wait {operation['id']}")

    show({"changed": changed, "operation": operation}, output, table)


def _sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row for the API: a secret that is not set here keeps its value."""
    found = {"key": row["key"], "secret": row["secret"]}
    return found if row["value"] is None else {**found, "value": row["value"]}


variable.add_command(revisions)
variable.add_command(rollback)
