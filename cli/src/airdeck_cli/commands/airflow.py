"""airdeck airflow-token."""

import click

from airdeck_cli.finding import deployment_argument, find_deployment
from airdeck_cli.output import note, output_option, show
from airdeck_cli.session import Globals


@click.command()
@deployment_argument
@click.option(
    "--minutes",
    type=click.IntRange(1, 60),
    default=15,
    show_default=True,
    help="For how long it is valid.",
)
@output_option
@click.pass_obj
def airflow_token(at: Globals, /, deployment: str, named: str, minutes: int, output: str) -> None:
    """Print a token for the API of a Deployment's Airflow. It acts as you, with at most the role of your API token.
    Nothing else is on standard output."""
    client = at.client()
    release = find_deployment(client, deployment, named)["release_name"]
    lost = f"Run the command again: it prints another token. The lost one ends within {minutes} minutes."
    made = client.send("POST", f"/deployments/{release}/airflow-token", {"minutes": minutes}, lost=lost).body
    show(made, output, lambda: click.echo(made["token"]))
    if output == "table":
        note(f"For {minutes} minutes, as {made['role']}, at {made['url'] or 'its Airflow, once that runs'}")
