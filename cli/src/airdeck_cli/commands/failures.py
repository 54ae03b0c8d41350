"""airdeck deployment retry, dismiss-upgrade: after something failed."""

import click

from airdeck_cli.commands.deployments import CHANGE_SECONDS, report
from airdeck_cli.finding import deployment_argument, find_deployment
from airdeck_cli.following import wait_options
from airdeck_cli.output import output_option
from airdeck_cli.session import Globals


@click.command()
@deployment_argument
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def retry(at: Globals, /, deployment: str, named: str, wait: bool, wait_time: int, output: str) -> None:
    """Try again now what failed, instead of waiting for the next try."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    answer = client.send("POST", f"/deployments/{found['release_name']}/retry", repeatable=True)
    name = answer.body["deployment"]["name"]
    done = f"Airdeck tries again now to finish what {name} was asked for."
    if wait:
        done = f"What {name} was asked for is done."
    if answer.body["operation"] is None:
        done = f"{name} is {answer.body['deployment']['status']}. Nothing is under way."
    report(client, answer, wait=wait, seconds=wait_time, output=output, done=done)


@click.command("dismiss-upgrade")
@deployment_argument
@output_option
@click.pass_obj
def dismiss_upgrade(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """Dismiss the notice of a failed upgrade. The activity keeps it."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    path = f"/deployments/{found['release_name']}"
    failed = client.get(path)["upgrade_error"]
    answer = client.send("POST", f"{path}/upgrade/dismiss", repeatable=True)
    name = answer.body["deployment"]["name"]
    done = f"The failed upgrade of {name} is dismissed." if failed else f"{name} shows no failed upgrade."
    report(client, answer, wait=False, seconds=0, output=output, done=done)
