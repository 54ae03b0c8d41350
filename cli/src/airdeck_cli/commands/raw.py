"""airdeck api: the API itself, for what has no command yet."""

import json

import click

from airdeck_cli.errors import USAGE, CliError
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

    body = at.client().send("GET", place, query=dict(parse_qsl(query))).body
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
