"""airdeck deployment worker-queue list, create, update, delete."""

from typing import Any

import click

from airdeck_cli.client import Answer, Client, new_key
from airdeck_cli.errors import FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_option, find_deployment
from airdeck_cli.following import Command, follow_change, wait_options
from airdeck_cli.groups import Group
from airdeck_cli.output import confirm, output_option, print_table, show
from airdeck_cli.session import Globals


def _figures(function: Command) -> Command:
    options = (
        click.option("-t", "--worker-type", help="The worker type."),
        click.option("--min-count", "min_workers", type=int, help="Minimum number of workers."),
        click.option("--max-count", "max_workers", type=int, help="Maximum number of workers."),
        click.option("--concurrency", type=int, help="Tasks that one worker runs at once."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _name(function: Command) -> Command:
    return click.option("-n", "--name", required=True, help="The name of the queue.")(function)


@click.group("worker-queue", cls=Group)
def worker_queue() -> None:
    """Worker queues of a Deployment."""


@worker_queue.command("list")
@deployment_option
@output_option
@click.pass_obj
def queue_list(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """List worker queues, with what they do now."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    rows = client.get(f"/deployments/{found['release_name']}/worker-queues")["items"]
    heads = ("NAME", "WORKER TYPE", "MIN", "MAX", "CONCURRENCY", "WORKERS", "QUEUED", "RUNNING")
    keys = (
        "name",
        "worker_type",
        "min_workers",
        "max_workers",
        "concurrency",
        "workers",
        "queued_tasks",
        "running_tasks",
    )
    lines = [[row[key] for key in keys] for row in rows]
    show(rows, output, lambda: print_table(heads, lines, empty="Only the Celery executor has worker queues."))


@worker_queue.command("create")
@deployment_option
@_name
@_figures
@wait_options(300)
@output_option
@click.pass_obj
def queue_create(
    at: Globals,
    /,
    deployment: str,
    named: str,
    name: str,
    wait: bool,
    wait_time: int,
    output: str,
    **values: Any,
) -> None:
    """Add a worker queue. An option that is not given has the cluster's default."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    body = {"name": name, **_given(values)}
    path = f"/deployments/{found['release_name']}/worker-queues"
    answer = client.send("POST", path, body, headers={"Idempotency-Key": new_key()})
    _report(
        client, found, answer, f"Worker queue {name} is added.", wait=wait, seconds=wait_time, output=output
    )


@worker_queue.command("update")
@deployment_option
@_name
@_figures
@click.option("-f", "--force", is_flag=True, help="Accepted as in Astro's command line; has no effect.")
@wait_options(300)
@output_option
@click.pass_obj
def queue_update(
    at: Globals,
    /,
    deployment: str,
    named: str,
    name: str,
    force: bool,
    wait: bool,
    wait_time: int,
    output: str,
    **values: Any,
) -> None:
    """Change a worker queue. An option that is not given changes nothing."""
    desired = _given(values)
    if not desired:
        raise CliError(
            "Say what to change, as in: airdeck deployment worker-queue update -n default --max-count 5",
            USAGE,
        )
    client = at.client()
    found = find_deployment(client, deployment, named)
    answer = client.send("PATCH", f"/deployments/{found['release_name']}/worker-queues/{name}", desired)
    _report(
        client, found, answer, f"Worker queue {name} is changed.", wait=wait, seconds=wait_time, output=output
    )


@worker_queue.command("delete")
@deployment_option
@_name
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(300)
@output_option
@click.pass_obj
def queue_delete(
    at: Globals, deployment: str, named: str, name: str, yes: bool, wait: bool, wait_time: int, output: str
) -> None:
    """Delete a worker queue. Tasks that name it wait until a queue of this name is there again."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    if not confirm(
        f"Delete the worker queue {name} of {found['name']}?", yes=yes, otherwise="Delete it with --yes."
    ):
        raise CliError("Nothing was deleted.", FAILED)
    answer = client.send("DELETE", f"/deployments/{found['release_name']}/worker-queues/{name}")
    _report(
        client, found, answer, f"Worker queue {name} is deleted.", wait=wait, seconds=wait_time, output=output
    )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _report(
    client: Client,
    found: dict[str, Any],
    answer: Answer,
    done: str,
    *,
    wait: bool,
    seconds: int,
    output: str,
) -> None:
    outcome = follow_change(client, answer, found["release_name"], wait=wait, seconds=seconds)
    operation = outcome["operation"]

    def table() -> None:
        click.echo(done)
        if operation and not wait:
            click.echo(f"It is under way. Follow it with: airdeck wait {operation['id']}")

    show(outcome, output, table)
