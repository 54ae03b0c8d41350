"""airdeck deployment create, list, update, upgrade, hibernate, wake-up, delete, open."""

from typing import Any

import click

from airdeck_cli.client import Answer, Client, new_key
from airdeck_cli.commands.settings_options import given, settings_options
from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.finding import (
    chosen_workspace,
    deployment_argument,
    find_deployment,
    workspace_option,
    workspace_place,
)
from airdeck_cli.following import follow_change, wait_options
from airdeck_cli.output import confirm, has_screen, note, output_option, print_table, show
from airdeck_cli.session import Globals

CREATE_SECONDS, CHANGE_SECONDS = 600, 300
FILE = click.Path(dir_okay=False, allow_dash=True)


def _run_file(client: Client, file: str, *, is_alone: bool, **options: Any) -> None:
    """Create or change a Deployment by a file, which excludes other settings. `options` are those of `files.run`.
    Raises CliError."""
    if not is_alone:
        raise CliError("A file says everything: use --deployment-file without other settings.", USAGE)
    from airdeck_cli.commands.files import run

    run(client, file, **options)


def report(
    client: Client,
    answer: Answer,
    *,
    wait: bool,
    seconds: int,
    output: str,
    done: str,
    release_name: str = "",
) -> None:
    """What came of a change: followed to its end when asked, printed, with the address of its page. `release_name` is
    for a DELETE, which may have been answered with nothing."""
    name = release_name or answer.body["deployment"]["release_name"]
    outcome = follow_change(client, answer, name, wait=wait, seconds=seconds)
    found, operation = outcome["deployment"], outcome["operation"]

    def table() -> None:
        click.echo(done)
        if operation and not wait:
            click.echo(f"It is under way. Follow it with: airdeck wait {operation['id']}")
        click.echo(found["url"])

    show({"deployment": found, "operation": operation}, output, table)


@click.command("list")
@click.option("-a", "--all", "everywhere", is_flag=True, help="Those of every Workspace that you reach.")
@workspace_option
@output_option
@click.pass_obj
def list_(at: Globals, /, everywhere: bool, workspace: str, output: str) -> None:
    """List Deployments, all of them, however many there are."""
    client = at.client()
    place = None if everywhere else chosen_workspace(client, named=workspace)
    rows = list(client.pages(f"/workspaces/{place['id']}/deployments" if place else "/deployments"))
    heads = ("NAME", "RELEASE NAME", "WORKSPACE", "CLUSTER", "EXECUTOR", "RUNTIME", "STATUS")

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        runtime = f"{row['runtime']} (based on Airflow {row['airflow_version']})"
        status = row["status"].capitalize()
        return (
            row["name"],
            row["release_name"],
            row["workspace"]["name"],
            row["cluster"]["name"],
            row["executor"],
            runtime,
            status,
        )

    show(
        rows,
        output,
        lambda: print_table(
            heads,
            [line(r) for r in rows],
            empty="No Deployments. Create one with: airdeck deployment create -n NAME",
        ),
    )


@click.command()
@click.option("-n", "--name", default="", help="Its name.")
@settings_options
@click.option("-v", "--runtime-version", "runtime", help="Its runtime; by default the newest.")
@click.option(
    "-c",
    "--cluster",
    "--cluster-id",
    "cluster",
    help="The cluster where it runs; by default the first that is open to the Workspace.",
)
@click.option(
    "--deployment-file", "file", type=FILE, default="", help="Create what a file says, and nothing else."
)
@workspace_option
@click.option("-y", "--yes", is_flag=True, help="With a file: do not ask.")
@click.option("--env", "fill", is_flag=True, help="With a file: fill in ${NAME} from the environment.")
@wait_options(CREATE_SECONDS)
@output_option
@click.pass_obj
def create(
    at: Globals,
    /,
    name: str,
    file: str,
    workspace: str,
    yes: bool,
    fill: bool,
    wait: bool,
    wait_time: int,
    output: str,
    **values: Any,
) -> None:
    """Create a Deployment. Only the name has no default."""
    settings = given(values)
    if file:
        _run_file(
            at.client(),
            file,
            is_alone=not (settings or name),
            mode="create",
            workspace=workspace,
            yes=yes,
            fill=fill,
            wait=wait,
            seconds=wait_time,
            output=output,
        )
        return
    if not name:
        raise CliError("Name it: airdeck deployment create -n NAME", USAGE)
    client = at.client()
    place, _ = workspace_place(client, workspace)
    key = {"Idempotency-Key": new_key()}
    answer = client.send(
        "POST", f"{place}/deployments", {"name": name, **settings}, headers=key, repeatable=True
    )
    made = answer.body["deployment"]
    done = f"Deployment {made['name']} is {'created' if wait else 'being created'} as {made['release_name']}."
    report(client, answer, wait=wait, seconds=wait_time, output=output, done=done)


@click.command()
@deployment_argument
@click.option("--name", "name", help="A new name.")
@settings_options
@click.option("--deployment-file", "file", type=FILE, default="", help="Change it to what a file says.")
@click.option("-y", "--yes", "-f", "--force", "yes", is_flag=True, help="With a file: do not ask.")
@click.option("--env", "fill", is_flag=True, help="With a file: fill in ${NAME} from the environment.")
@workspace_option
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def update(
    at: Globals,
    /,
    deployment: str,
    named: str,
    file: str,
    yes: bool,
    fill: bool,
    workspace: str,
    wait: bool,
    wait_time: int,
    output: str,
    **values: Any,
) -> None:
    """Change a Deployment. What is not given stays as it is."""
    settings = given(values)
    client = at.client()
    if file:
        _run_file(
            client,
            file,
            is_alone=not settings,
            mode="update",
            workspace=workspace,
            yes=yes,
            fill=fill,
            wait=wait,
            seconds=wait_time,
            output=output,
        )
        return
    if not settings:
        raise CliError(
            "Say what to change, as in: airdeck deployment update DEPLOYMENT --scheduler-au 6", USAGE
        )
    found = find_deployment(client, deployment, named)
    answer = client.send("PATCH", f"/deployments/{found['release_name']}", settings)
    report(
        client,
        answer,
        wait=wait,
        seconds=wait_time,
        output=output,
        done=f"Deployment {answer.body['deployment']['name']} is changed.",
    )


@click.command()
@deployment_argument
@click.option("-v", "--runtime-version", "runtime", required=True, help="The newer runtime.")
@wait_options(CREATE_SECONDS)
@output_option
@click.pass_obj
def upgrade(
    at: Globals, deployment: str, named: str, runtime: str, wait: bool, wait_time: int, output: str
) -> None:
    """Move a Deployment to a newer runtime. When that fails it runs as before."""
    _ask(
        at,
        deployment,
        named,
        "upgrade",
        {"runtime": runtime},
        wait,
        wait_time,
        output,
        f"goes to runtime {runtime}",
    )


@click.command()
@deployment_argument
@click.option("-f", "--force", is_flag=True, help="Accepted as in Astro's command line; has no effect.")
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def hibernate(
    at: Globals, deployment: str, named: str, force: bool, wait: bool, wait_time: int, output: str
) -> None:
    """Hibernate a Deployment: everything but its database stops, and tasks that run fail."""
    _ask(at, deployment, named, "hibernate", None, wait, wait_time, output, "hibernates")


@click.command("wake-up")
@deployment_argument
@click.option("-f", "--force", is_flag=True, help="Accepted as in Astro's command line; has no effect.")
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def wake_up(
    at: Globals, deployment: str, named: str, force: bool, wait: bool, wait_time: int, output: str
) -> None:
    """Wake a Deployment up."""
    _ask(at, deployment, named, "wake", None, wait, wait_time, output, "wakes up")


def _ask(
    at: Globals,
    /,
    deployment: str,
    named: str,
    verb: str,
    body: Any,
    wait: bool,
    seconds: int,
    output: str,
    what: str,
) -> None:
    client = at.client()
    found = find_deployment(client, deployment, named)
    path = f"/deployments/{found['release_name']}/{verb}"
    answer = client.send("POST", path, body, repeatable=True)  # asking twice is asking once
    nothing = answer.body["operation"] is None and not answer.repeated
    done = f"Deployment {found['name']} {what}{', as it did before. There was nothing to do' if nothing else ''}."
    report(client, answer, wait=wait, seconds=seconds, output=output, done=done)


@click.command()
@deployment_argument
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def delete(
    at: Globals, deployment: str, named: str, yes: bool, wait: bool, wait_time: int, output: str
) -> None:
    """Delete a Deployment with its database. There is no way back."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    question = f"Delete {found['name']} ({found['release_name']}) with its database?"
    if not confirm(question, yes=yes, otherwise="Delete it with --yes."):
        raise CliError("Nothing was deleted.")
    answer = client.send("DELETE", f"/deployments/{found['release_name']}")
    done = f"Deployment {found['name']} is {'deleted' if wait or answer.body is None else 'being deleted'}."
    if answer.body is None:  # the answer before was lost, and it is gone since: there is nothing to follow
        answer, wait = Answer(200, {}, {"deployment": found, "operation": None}), False
    report(client, answer, wait=wait, seconds=wait_time, output=output, done=done)


@click.command("open")
@deployment_argument
@click.option("--airflow", is_flag=True, help="Open its Airflow in place of its page.")
@click.pass_obj
def open_(at: Globals, /, deployment: str, named: str, airflow: bool) -> None:
    """Open the page of a Deployment in the browser, and print its address."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    url = found["url"]
    if airflow:
        url = client.get(f"/deployments/{found['release_name']}")["airflow_url"]
        if not url:
            raise CliError(
                f"The Airflow of {found['name']} does not run now: the Deployment is {found['status']}."
            )
    click.echo(url)
    if not has_screen() or click.launch(url) != 0:
        note("No browser could be opened. Open the address yourself.")
