"""airdeck deployment registry login, logout, show."""

import click

from airdeck_cli.commands.deployments import CHANGE_SECONDS, report
from airdeck_cli.errors import FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, deployment_option, find_deployment
from airdeck_cli.following import wait_options
from airdeck_cli.groups import Group
from airdeck_cli.output import clean, confirm, output_option, show
from airdeck_cli.session import Globals

PASSWORD = "AIRDECK_REGISTRY_PASSWORD"  # noqa: S105 - the variable's name


@click.group(cls=Group)
def registry() -> None:
    """The login with which a Deployment's own images are pulled from a registry."""


@registry.command()
@click.argument("host")
@deployment_option
@click.option("-u", "--username", "--user", "user", required=True, help="The user name of the login.")
@click.option("--password-stdin", is_flag=True, help="Read the password or token from standard input.")
@click.option("--password-file", metavar="FILE", default="", help="Read it from this file.")
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def login(
    at: Globals,
    /,
    host: str,
    deployment: str,
    named: str,
    user: str,
    password_stdin: bool,
    password_file: str,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Pull images at HOST as this user, in place of the login before. For Docker Hub that is docker.io.

    The password or token is read from standard input, a file or AIRDECK_REGISTRY_PASSWORD, never from an argument.
    """
    from airdeck_cli import secret_input

    flags = ("--password-stdin", "--password-file")
    password = secret_input.read(
        "password", flags=flags, variable=PASSWORD, stdin=password_stdin, file=password_file
    )
    if password is None:
        raise CliError(f"Give the password with {' or '.join(flags)}, or set {PASSWORD}.", USAGE)
    client = at.client()
    found = find_deployment(client, deployment, named)
    body = {"host": host, "user": user, "password": password}
    answer = client.send("PUT", f"/deployments/{found['release_name']}/registry-login", body)
    done = f"Images of {found['name']} at {host} are pulled as {user}."
    report(client, answer, wait=wait, seconds=wait_time, output=output, done=done)


@registry.command("show")
@deployment_argument
@output_option
@click.pass_obj
def show_(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """Show the registry and the user name. The password is never shown."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    kept = client.get(f"/deployments/{found['release_name']}/registry-login")
    text = f"Images of {found['name']} at {clean(kept['host'])} are pulled as {clean(kept['user'])}."
    none = f"{found['name']} has no registry login."
    show(kept, output, lambda: click.echo(text if kept["host"] else none))


@registry.command()
@deployment_argument
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@wait_options(CHANGE_SECONDS)
@output_option
@click.pass_obj
def logout(
    at: Globals, /, deployment: str, named: str, yes: bool, wait: bool, wait_time: int, output: str
) -> None:
    """Remove the login with its password. A node without the image can no longer pull it."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    if not confirm(
        f"Remove the registry login of {found['name']}?", yes=yes, otherwise="Remove it with --yes."
    ):
        raise CliError("Nothing was removed.", FAILED)
    answer = client.send("DELETE", f"/deployments/{found['release_name']}/registry-login")
    done = f"{found['name']} no longer has a registry login."
    name = found["release_name"]
    report(client, answer, wait=wait, seconds=wait_time, output=output, done=done, release_name=name)
