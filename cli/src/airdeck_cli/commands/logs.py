"""airdeck deployment logs and task-logs."""

from typing import Any

import click

from airdeck_cli.errors import INTERRUPTED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, find_deployment
from airdeck_cli.output import as_json, clean, moment, note, output_option, print_table, show
from airdeck_cli.session import Globals

COMPONENTS = {"webserver": "api-server", "apiserver": "api-server"}


@click.command()
@deployment_argument
@click.option("-e", "--error", "level", flag_value="error", help="Errors alone.")
@click.option("-w", "--warn", "level", flag_value="warning", help="Warnings and worse.")
@click.option("-i", "--info", "level", flag_value="info", help="All but debugging.")
@click.option("-k", "--keyword", default="", help="Lines with this text.")
@click.option(
    "-c",
    "--log-count",
    "count",
    default=500,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many lines at most.",
)
@click.option("--component", default="", help="scheduler, worker, triggerer, dag-processor, api-server …")
@click.option("--task", default="", help="The log of a task: its path, as `deployment task-logs` lists it.")
@click.option("--follow", is_flag=True, help="Continue as lines are written, for ten minutes at most.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="json is one object a line."
)
@click.pass_obj
def logs(
    at: Globals,
    /,
    deployment: str,
    named: str,
    level: str | None,
    keyword: str,
    count: int,
    component: str,
    task: str,
    follow: bool,
    output: str,
) -> None:
    """Print what the components of a Deployment write, or one of its tasks."""
    if component and task:
        raise CliError("Give --component or --task, not both.", USAGE)
    client = at.client()
    found = find_deployment(client, deployment, named)
    query = {
        "component": COMPONENTS.get(component, component),
        "task": task,
        "level": level or "",
        "q": keyword,
        "lines": count,
        "follow": "true" if follow else "",
    }
    try:
        for line in client.lines(f"/deployments/{found['release_name']}/logs", **query):
            if output == "json":
                click.echo(as_json(line, indent=None))
                continue
            click.echo(_text(line))
    except KeyboardInterrupt:
        raise CliError("No longer following.", INTERRUPTED) from None


@click.command("task-logs")
@deployment_argument
@click.option("-k", "--keyword", default="", help="Words of the DAG, the run or the task.")
@click.option(
    "-c",
    "--count",
    default=100,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many at most, the newest first.",
)
@output_option
@click.pass_obj
def task_logs(at: Globals, /, deployment: str, named: str, keyword: str, count: int, output: str) -> None:
    """List the logs of tasks that are kept, also of those whose process or pod is gone."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    answer = client.get(f"/deployments/{found['release_name']}/task-logs", q=keyword, limit=count)
    rows = [
        (moment(each["written_at"]), _size(each["size_bytes"]), each["attempt"], each["path"])
        for each in answer["items"]
    ]
    empty = "No logs of tasks." if not keyword else "No log of a task matches."
    show(
        answer["items"],
        output,
        lambda: print_table(("WRITTEN", "SIZE", "ATTEMPT", "PATH"), rows, empty=empty),
    )
    if answer["more"]:
        note(
            f"The newest {len(answer['items'])} are listed. Choose with --keyword, or ask for more with --count."
        )


def _size(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.0f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def _text(line: dict[str, Any]) -> str:
    """Time, level, component and text in columns."""
    at, level = str(line.get("time") or "")[:19], str(line.get("level") or "").upper()
    return f"{at:19}  {level:7}  {line.get('component') or ''}  {clean(line['text'])}"
