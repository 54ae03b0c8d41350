"""airdeck wait: following an operation that an earlier command began."""

import click

from airdeck_cli.following import follow
from airdeck_cli.output import output_option, show
from airdeck_cli.session import Globals


@click.command()
@click.argument("operation")
@click.option(
    "--wait-time", default=600, show_default=True, metavar="SECONDS", help="How long to wait at most."
)
@output_option
@click.pass_obj
def wait(at: Globals, /, operation: str, wait_time: int, output: str) -> None:
    """Follow an operation to its end."""
    client = at.client()
    found = follow(client, client.get(f"/operations/{operation}"), wait_time)
    show(found, output, lambda: click.echo(f"Done. {found['url']}"))
