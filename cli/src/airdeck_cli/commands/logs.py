"""airdeck deployment logs."""

from typing import Any

import click

from airdeck_cli.errors import INTERRUPTED, CliError
from airdeck_cli.finding import deployment_argument, find_deployment
from airdeck_cli.output import clean
from airdeck_cli.session import Globals

LEVELS = {"-e": "error", "-w": "warning", "-i": "info"}
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
@click.option("--follow", is_flag=True, help="Continue as lines are written, until Ctrl-C.")
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
    follow: bool,
    output: str,
) -> None:
    """Print what the components of a Deployment write."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    query = {
        "component": COMPONENTS.get(component, component),
        "level": level or "",
        "q": keyword,
        "lines": count,
        "follow": "true" if follow else "",
    }
    import json

    try:
        for line in client.lines(f"/deployments/{found['release_name']}/logs", **query):
            if output == "json":
                click.echo(json.dumps(line, ensure_ascii=False))
                continue
            click.echo(_text(line))
    except KeyboardInterrupt:
        raise CliError("No longer following.", INTERRUPTED) from None


def _text(line: dict[str, Any]) -> str:
    """Time, level, component and text in columns."""
    moment, level = str(line.get("time") or "")[:19], str(line.get("level") or "").upper()
    return f"{moment:19}  {level:7}  {line.get('component') or ''}  {clean(line['text'])}"
