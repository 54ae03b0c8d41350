"""airdeck deployment inspect and apply: a Deployment as a file."""

import os
import re
from pathlib import Path
from typing import Any

import click

from airdeck_cli import standard_input
from airdeck_cli.client import Client, new_key
from airdeck_cli.errors import CONFLICT, FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, find_deployment, workspace_option, workspace_place
from airdeck_cli.following import follow, follow_newest, wait_options
from airdeck_cli.output import clean, confirm, note, show, to_yaml
from airdeck_cli.session import Globals

COLORS = {"+": "green", "~": "yellow", "-": "red"}
LARGEST = 1024 * 1024
_FILL = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@click.command()
@deployment_argument
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="How to print it.")
@click.option("-t", "--template", is_flag=True, help="For another Deployment: no name, no metadata.")
@click.option("-k", "--key", default="", help="One value alone, such as metadata.status.")
@click.pass_obj
def inspect(at: Globals, /, deployment: str, named: str, output: str, template: bool, key: str) -> None:
    """Print a Deployment as the file that `airdeck deployment apply` takes. Secrets are named, without their values."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    document = client.get(
        f"/deployments/{found['release_name']}/file", **({"template": "true"} if template else {})
    )
    value = _value(document["deployment"], key) if key else document
    if isinstance(value, str) and key:
        click.echo(value)
    elif output == "json":
        show(value, output, lambda: None)
    else:
        click.echo(to_yaml(value).removesuffix("...\n"), nl=False)


def _value(document: dict[str, Any], key: str) -> Any:
    """The value at a path of keys, in any case. Raises CliError."""
    value: Any = document
    for part in key.removeprefix("deployment.").split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
            continue
        keys = {each.casefold(): each for each in value} if isinstance(value, dict) else {}
        if part.casefold() not in keys:
            raise CliError(
                f"{key} is not found in the Deployment. The keys there are {', '.join(keys.values()) or 'none'}.",
                USAGE,
            )
        value = value[keys[part.casefold()]]
    return value


@click.command()
@click.option(
    "-f",
    "--deployment-file",
    "--file",
    "file",
    required=True,
    type=click.Path(),
    help="The file; - is standard input.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and change nothing.")
@click.option("--env", "fill", is_flag=True, help="Fill in ${NAME} in values from the environment.")
@click.option("--compat", is_flag=True, help="Ignore what only Astro's files know, and say so.")
@workspace_option
@wait_options(600)
@click.option(
    "-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table", help="How to print it."
)
@click.pass_obj
def apply(
    at: Globals,
    /,
    file: str,
    yes: bool,
    dry_run: bool,
    fill: bool,
    compat: bool,
    workspace: str,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Make a Deployment what a file says, or a new one. The plan is printed first; all of it is done, or nothing."""
    run(
        at.client(),
        file,
        mode="apply",
        workspace=workspace,
        yes=yes,
        fill=fill,
        wait=wait,
        seconds=wait_time,
        output=output,
        compat=compat,
        dry_run=dry_run,
    )


def run(
    client: Client,
    file: str,
    *,
    mode: str,
    workspace: str,
    yes: bool,
    fill: bool,
    wait: bool,
    seconds: int,
    output: str,
    compat: bool = False,
    dry_run: bool = False,
) -> None:
    """Plan, print, ask, apply, follow. Raises CliError."""
    text = _read(file)
    if fill:
        try:
            text = _filled(text)
        except CliError as refused:
            raise _named(refused, file) from None
    path = f"{workspace_place(client, workspace)[0]}/deployment-file"
    asked = {"text": text, "mode": mode, "compat": compat}
    plan = _planned(client, path, asked, file, output)
    if not plan["lines"] and wait and not dry_run:
        follow_newest(client, plan["release_name"], seconds)
    if dry_run or not plan["lines"]:
        show({"plan": plan, "changed": False}, output, lambda: None)
        return
    what = (
        f"Create {plan['name']}"
        if plan["release_name"] is None
        else f"Change {plan['name']} ({plan['release_name']})"
    )
    if not confirm(f"{what}?", yes=yes, otherwise="Apply it with --yes."):
        raise CliError("Nothing was changed.", FAILED)
    answer = _apply(client, path, {**asked, "base": plan["base"]}, file)
    operation = answer["operation"]
    if operation and wait:
        operation = follow(client, operation, seconds)
    _show_applied(plan, answer["deployment"], operation, output, waited=wait)


def _show_applied(
    plan: dict[str, Any],
    found: dict[str, Any],
    operation: dict[str, Any] | None,
    output: str,
    *,
    waited: bool,
) -> None:
    def for_people() -> None:
        done = "created" if plan["release_name"] is None else "changed"
        click.echo(f"{found['name']} ({found['release_name']}) is {done}.")
        if operation and not waited:
            click.echo(f"It is under way. Follow it with: airdeck wait {operation['id']}")
        click.echo(found["url"])

    value = {"plan": plan, "changed": True, "deployment": found, "operation": operation}
    show(value, output, for_people)


def _planned(client: Client, path: str, body: dict[str, Any], file: str, output: str) -> dict[str, Any]:
    """The plan, printed."""
    try:
        plan: dict[str, Any] = client.send("POST", f"{path}/plan", body, repeatable=True).body
    except CliError as refused:
        raise _named(refused, file) from None
    show_line = note if output != "table" else click.echo
    for ignored in plan["ignored"]:
        note(f"Ignored: {ignored}")
    for line in plan["lines"]:
        show_line(click.style(_line(line), fg=COLORS[line["sign"]]))
    if not plan["lines"]:
        show_line(f"{plan['name']} is what the file says already. There is nothing to do.")
    return plan


def _apply(client: Client, path: str, body: dict[str, Any], file: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.send(
            "POST", f"{path}/apply", body, headers={"Idempotency-Key": new_key()}
        ).body
    except CliError as refused:
        if refused.code == "changed":
            raise CliError(f"{refused} Run the command again to see it.", CONFLICT) from None
        raise _named(refused, file) from None
    return found


def _line(line: dict[str, str]) -> str:
    path = line["path"].removeprefix("deployment.")
    values = [clean(value) for value in (line["old"], line["new"]) if value]
    if line["sign"] == "~":
        return f"~ {path}: {clean(line['old']) or '(nothing)'} → {clean(line['new']) or '(nothing)'}"
    return f"{line['sign']} {path}" + (f": {values[0]}" if values else "")


def _named(refused: CliError, file: str) -> CliError:
    """A file that is wrong is a usage error that names it; what is there, or is not, is a conflict."""
    if refused.code in {"exists", "missing"}:
        refused.exit_code = CONFLICT
    elif refused.code == "file_refused":
        refused.args = (f"{file} cannot be applied:",) if refused.errors else (f"{file}: {refused}",)
    return refused


def _read(file: str) -> str:
    try:
        raw = standard_input.data(LARGEST + 1) if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise CliError(f"open {file}: {(error.strerror or 'it cannot be read').lower()}", USAGE) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8. Save it as UTF-8.", USAGE) from None
    if not text.strip():
        raise CliError(f"{file} has no content. Write one with: airdeck deployment inspect -o yaml", USAGE)
    if len(raw) > LARGEST:
        raise CliError(f"{file} has more than {LARGEST // 1024} KiB. Put less into it.", USAGE)
    return text


def _filled(text: str) -> str:
    """The file with ${NAME} in its values, never in keys, from the environment; as JSON, so that no value can become
    something else than a value. Raises CliError."""
    import json

    from airdeck_cli import deployment_text

    missing: set[str] = set()

    def name_of(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            missing.add(found[1])
        return os.environ.get(found[1], "")

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return _FILL.sub(name_of, value)
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        return [fill(each) for each in value] if isinstance(value, list) else value

    filled = fill(deployment_text.read(text))
    if missing:
        raise CliError(f"These are not set in the environment: {', '.join(sorted(missing))}.", USAGE)
    return json.dumps(filled, ensure_ascii=False)
