"""airdeck api: the API itself, for what has no command yet."""

import click

from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.output import as_json
from airdeck_cli.session import Globals


@click.command()
@click.argument("method", metavar="GET")
@click.argument("path", default="")
@click.pass_obj
def api(at: Globals, /, method: str, path: str) -> None:
    """Ask the API itself and print its answer, as in: airdeck api GET /deployments?status=healthy."""
    if method.upper() != "GET" or not path.startswith("/"):
        raise CliError("Write GET and a path that begins with a slash: airdeck api GET /deployments", USAGE)
    place, _, query = path.removeprefix("/api/v1").partition("?")
    from urllib.parse import parse_qsl

    answer = at.client().send("GET", place, query=dict(parse_qsl(query)))
    if answer.is_lines:
        for line in answer.body:
            click.echo(as_json(line, indent=None))
        return
    click.echo(as_json(answer.body))
