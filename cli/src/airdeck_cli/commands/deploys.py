"""airdeck deploy, and airdeck deploys list, show, rollback."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from airdeck_cli.client import Client, look, new_key
from airdeck_cli.deploy_progress import UNDER_WAY, follow_deploy, follow_imports, problems_of
from airdeck_cli.errors import FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, deployment_option, find_deployment
from airdeck_cli.following import wait_options
from airdeck_cli.groups import Group
from airdeck_cli.output import clean, confirm, moment, note, output_option, print_table, show
from airdeck_cli.packing import Packed, pack
from airdeck_cli.session import Globals

UPLOAD_SECONDS = 300.0


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@deployment_option
@click.option("-m", "--description", default="", help="What this deploy is; by default the commit.")
@click.option("--dry-run", is_flag=True, help="Say what would be deployed, and deploy nothing.")
@click.option("--follow-links", is_flag=True, help="Pack what links lead to, also out of the folder.")
@click.option("--despite-syntax", is_flag=True, help="Deploy also when a file does not compile.")
@click.option(
    "--check-imports",
    is_flag=True,
    help="Wait, and end with 1 when Airflow cannot import a file. It reads them within a minute.",
)
@click.option(
    "--image",
    metavar="REF",
    default=None,
    help="Deploy this image in place of the runtime's, and no folder; \"\" is the runtime's.",
)
@click.option("--dags", is_flag=True, help="Accepted as in Astro's command line; has no effect.")
@click.option("-f", "--force", is_flag=True, help="Accepted as in Astro's command line; has no effect.")
@wait_options(300)
@output_option
@click.pass_obj
def deploy(
    at: Globals,
    /,
    folder: Path,
    deployment: str,
    named: str,
    description: str,
    dry_run: bool,
    follow_links: bool,
    despite_syntax: bool,
    check_imports: bool,
    image: str | None,
    dags: bool,
    force: bool,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Deploy the DAGs of FOLDER: the content of its dags folder when it has one, else its own.

    Left out: .git, caches, virtual environments, .env files, and what .airdeckignore says. The folder is only read.
    """
    if image is not None:
        named_too = click.get_current_context().get_parameter_source("folder") is not ParameterSource.DEFAULT
        if named_too or dry_run or dags or follow_links or despite_syntax or check_imports:
            raise CliError(
                "--image deploys an image alone: leave out the folder and what is about code.", USAGE
            )
        _deploy_image(
            at, image, (deployment, named), description, wait=wait, seconds=wait_time, output=output
        )
        return
    packed = pack(folder, follow_links=follow_links)
    client = at.client()
    found = find_deployment(client, deployment, named)
    query = _about(folder, packed, description, dry_run=dry_run, despite_syntax=despite_syntax)
    answer = _upload(client, found["release_name"], packed, query)
    if dry_run:
        show({**answer, "paths": list(packed.files)}, output, lambda: _print_difference(packed, answer))
        return
    ends = time.monotonic() + wait_time
    _report(client, found, answer, wait=wait or check_imports, seconds=wait_time, output=output)
    if check_imports:
        follow_imports(client, found["release_name"], answer["deploy"]["number"], ends - time.monotonic())


def _about(
    folder: Path, packed: Packed, description: str, *, dry_run: bool, despite_syntax: bool
) -> dict[str, str]:
    """What is said of an upload beside it: what the person chose, and what Git knows. A note says what goes."""
    from airdeck_cli import git_facts

    known = git_facts.facts(folder, packed.parts)
    _note_what_goes(packed, dirty=bool(known.get("dirty")))
    flags = {"dry_run": "true" if dry_run else "", "despite_syntax": "true" if despite_syntax else ""}
    return {"description": description or git_facts.description(known), **flags, **git_facts.query(known)}


def _note_what_goes(packed: Packed, *, dirty: bool) -> None:
    if dirty:
        note("Note: there are uncommitted changes. They are deployed, and the deploy says so.")
    note(f"{_files(packed)}, {_size(packed.size)}, from {packed.root}{_left_out(packed)}")


def _deploy_image(
    at: Globals,
    image: str,
    names: tuple[str, str],
    description: str,
    *,
    wait: bool,
    seconds: int,
    output: str,
) -> None:
    """The cluster pulls it, so that nothing of it passes through here."""
    client = at.client()
    found = find_deployment(client, *names)
    answer = client.send(
        "POST",
        f"/deployments/{found['release_name']}/deploys/image",
        {"image": image, "description": description},
        headers={"Idempotency-Key": new_key()},
        repeatable=True,
        lost=look(f"airdeck deploys list {found['release_name']}"),  # its tag may be another image by then
    ).body
    _report(client, found, answer, wait=wait, seconds=seconds, output=output, what="image")


def _upload(client: Client, release_name: str, packed: Packed, query: dict[str, str]) -> dict[str, Any]:
    archive = packed.archive()
    digest = base64.b64encode(hashlib.sha256(archive.getbuffer()).digest()).decode()
    found: dict[str, Any] = client.send(
        "POST",
        f"/deployments/{release_name}/deploys",
        query=query,
        file=archive,
        content_type="application/zip",
        headers={"Content-Digest": f"sha-256=:{digest}:", "Idempotency-Key": new_key()},
        repeatable=True,
        timeout=UPLOAD_SECONDS,
    ).body
    return found


def _report(
    client: Client,
    found: dict[str, Any],
    answer: dict[str, Any],
    *,
    wait: bool,
    seconds: int,
    output: str,
    what: str = "code",
) -> None:
    operation, made, plan = answer["operation"], answer["deploy"], answer["plan"] or {}
    for line in plan.get("notes", []):
        note(f"Note: {clean(line)}")
    if made and not answer["changed"] and wait and made["status"] in UNDER_WAY:  # by an earlier command
        operation = client.get(f"/operations/{found['release_name']}.deploy.{made['number']}")
    if operation and wait:
        operation = follow_deploy(client, found["release_name"], made["number"], operation, seconds)

    def table() -> None:
        if not answer["changed"]:
            click.echo(f"{found['name']} has this {what} already. There is nothing to do.")
            return
        click.echo(f"Deploy {made['number']} is {'active' if wait else 'under way'}.")
        if not wait:
            click.echo(f"Follow it with: airdeck wait {operation['id']}")
        click.echo(made["url"])

    show({**answer, "operation": operation}, output, table)


def _print_difference(packed: Packed, answer: dict[str, Any]) -> None:
    plan = answer["plan"] or {}
    signs = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
    for kind, (sign, color) in signs.items():
        for path in plan.get(kind, []):
            click.echo(click.style(f"{sign} {clean(path)}", fg=color))
    if not any(plan.get(kind) for kind in signs):
        click.echo("The Deployment has this code already. There is nothing to do.")
    for line in plan.get("notes", []):
        note(f"Note: {clean(line)}")
    click.echo(f"{_files(packed)} would be deployed. Digest {packed.digest[:12]}.")


def _files(packed: Packed) -> str:
    return "1 file" if len(packed.files) == 1 else f"{len(packed.files):,} files"


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MiB" if count >= 1024 * 1024 else f"{max(1, count // 1024)} KiB"


def _left_out(packed: Packed) -> str:
    return f"; {packed.left_out} left out" if packed.left_out else ""


@click.group(cls=Group)
def deploys() -> None:
    """What was deployed, and going back."""


@deploys.command("list")
@deployment_argument
@output_option
@click.pass_obj
def deploys_list(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """Every deploy, the newest first."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    rows = list(client.pages(f"/deployments/{found['release_name']}/deploys"))
    heads = ("DEPLOY", "STATUS", "SOURCE", "BY", "AT", "FILES", "DESCRIPTION")
    lines = [
        (
            r["number"],
            r["status"],
            r["source"],
            r["actor"],
            moment(r["created_at"]),
            r["files"],
            r["description"],
        )
        for r in rows
    ]
    show(
        rows,
        output,
        lambda: print_table(heads, lines, empty="Nothing was deployed yet. Deploy with: airdeck deploy"),
    )


@deploys.command("show")
@click.argument("number", type=int)
@deployment_option
@output_option
@click.pass_obj
def deploys_show(at: Globals, /, number: int, deployment: str, named: str, output: str) -> None:
    """One deploy with its steps."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    one = client.get(f"/deployments/{found['release_name']}/deploys/{number}")

    def table() -> None:
        at_ = moment(one["created_at"])
        click.echo(f"Deploy {one['number']} of {found['name']}: {one['status']}, by {one['actor']} at {at_}")
        for line in (one["description"], one["sentence"]):
            if line:
                click.echo(clean(line))
        print_table(
            ("STEP", "STATE", ""),
            [(s["title"], s["state"], s["sentence"]) for s in one.get("steps", [])],
            empty="",
        )
        for where, error in problems_of(one).items():
            click.echo(clean(f"{where}: {error}"))
        click.echo(one["url"])

    show(one, output, table)


@deploys.command("rollback")
@click.argument("number", type=int)
@deployment_option
@click.option("-m", "--description", default="", help="Why.")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(300)
@output_option
@click.pass_obj
def deploys_rollback(
    at: Globals,
    /,
    number: int,
    deployment: str,
    named: str,
    description: str,
    yes: bool,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Deploy the code of deploy NUMBER again, as a new deploy. Nothing else goes back."""
    if number < 1:
        raise CliError("Deploys are counted from 1.", USAGE)
    client = at.client()
    found = find_deployment(client, deployment, named)
    if not confirm(
        f"Go back to the code of deploy {number} of {found['name']}?",
        yes=yes,
        otherwise="Roll back with --yes.",
    ):
        raise CliError("Nothing was changed.", FAILED)
    answer = client.send(
        "POST",
        f"/deployments/{found['release_name']}/deploys/{number}/rollback",
        {"description": description} if description else {},
        headers={"Idempotency-Key": new_key()},
        repeatable=True,
    ).body
    _report(client, found, answer, wait=wait, seconds=wait_time, output=output)
