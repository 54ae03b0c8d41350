"""airdeck git connect, show, check, deploy, trust, webhook, disconnect."""

from typing import Any

import click

from airdeck_cli.client import SECRET_LOST, Client, new_key
from airdeck_cli.errors import CONFLICT, FAILED, USAGE, CliError
from airdeck_cli.finding import deployment_argument, deployment_option, find_deployment
from airdeck_cli.following import wait_options
from airdeck_cli.git_looks import Source, newest_deploy, path_of, report, to_trust
from airdeck_cli.groups import Group
from airdeck_cli.output import clean, confirm, moment, note, output_option, print_table, show
from airdeck_cli.session import Globals

NOT_CONNECTED = "git_not_connected"  # the API's word
WAIT = 300


def _find(client: Client, found: dict[str, Any]) -> Source | None:
    """The Git source; None without one. Raises CliError."""
    try:
        source: Source = client.get(path_of(found))
    except CliError as refused:
        if refused.code == NOT_CONNECTED:
            return None
        raise
    return source


def _connected(client: Client, found: dict[str, Any]) -> Source:
    """The Git source. Raises CliError when there is none."""
    source = _find(client, found)
    if source is None:
        how = f"Connect one with: airdeck git connect ADDRESS -d {found['release_name']}"
        raise CliError(f"{found['name']} is not connected to a Git repository. {how}", USAGE)
    return source


def _ask(client: Client, found: dict[str, Any], what: str, body: object = None) -> Source:
    """POST what may be asked twice."""
    source: Source = client.send("POST", f"{path_of(found)}/{what}", body, repeatable=True).body
    return source


@click.group(cls=Group)
def git() -> None:
    """The Git repository that a Deployment follows: each commit of a branch can become a deploy."""


@git.command()
@click.argument("address", default="", metavar="[ADDRESS]")
@deployment_option
@click.option("-b", "--branch", default=None, help="The branch; by default main.")
@click.option("--folder", default=None, metavar="PATH", help="The folder in it that holds the DAGs.")
@click.option(
    "--every", default=None, metavar="MINUTES", help="Look every so many minutes, or never; by default 5."
)
@click.option(
    "--automatic/--manual",
    default=None,
    help="Deploy newer commits automatically, which is the default, or only when you ask.",
)
@click.option(
    "--token-stdin", is_flag=True, help="Read the token of a private repository from standard input."
)
@click.option("--token-file", metavar="FILE", default="", help="Read it from this file.")
@click.option("--no-token", is_flag=True, help="Remove the token that is stored.")
@click.option(
    "--token-user", default=None, metavar="NAME", help="The user name beside the token; by default git."
)
@wait_options(WAIT)
@output_option
@click.pass_obj
def connect(
    at: Globals,
    /,
    address: str,
    deployment: str,
    named: str,
    wait: bool,
    wait_time: int,
    output: str,
    **more: Any,
) -> None:
    """Follow a branch of the repository at ADDRESS. What is connected already is changed: only what you name.

    ADDRESS is https://…, ssh://… or git@host:path. A token is read from standard input, a file or AIRDECK_GIT_TOKEN,
    never from an argument. For ssh Airdeck makes a key and prints its public half, for the repository's deploy keys.
    """
    body = _wish(address, **more)
    client = at.client()
    found = find_deployment(client, deployment, named)
    before = _find(client, found)
    if before is None and not address:
        raise CliError(f"Name the address of the repository that {found['name']} is to follow.", USAGE)
    if not body:
        raise CliError("Say what to change, for instance --branch.", USAGE)
    since = newest_deploy(client, found) if wait else None
    source: Source = client.send("PATCH" if before else "PUT", path_of(found), body).body
    report(
        client,
        found,
        source,
        since=since,
        seconds=wait_time,
        output=output,
        table=_print_connected,
        trusts_later=True,
    )


def _wish(
    address: str,
    *,
    branch: str | None,
    folder: str | None,
    every: str | None,
    automatic: bool | None,
    token_stdin: bool,
    token_file: str,
    no_token: bool,
    token_user: str | None,
) -> dict[str, Any]:
    """What was named of a Git source, as the API has it. Raises CliError."""
    from airdeck_cli import secret_input

    token = secret_input.read(
        "token",
        flags=("--token-stdin", "--token-file", "--no-token"),
        variable="AIRDECK_GIT_TOKEN",
        stdin=token_stdin,
        file=token_file,
        none=no_token,
    )
    wishes = {"address": address or None, "branch": branch, "subfolder": folder, "automatic": automatic}
    wishes |= {"token": token, "token_user": token_user}
    found: dict[str, Any] = {name: value for name, value in wishes.items() if value is not None}
    return found if every is None else {**found, "every_minutes": _minutes(every)}


def _minutes(text: str) -> int | None:
    """None for never. Raises CliError."""
    if text.lower() == "never":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise CliError("--every takes whole minutes, from 1 to 1440, or never.", USAGE)
    return int(text)


def _print_connected(found: dict[str, Any], source: Source) -> None:
    click.echo(f"{found['name']} follows {clean(source['branch'])} of {clean(source['address'])}.")
    if source["public_key"]:
        note("Add this key to the repository as a deploy key that may only read:")
        click.echo(source["public_key"])
    if source["offered_host_key"]:
        note(to_trust(found, source))


@git.command("show")
@deployment_argument
@output_option
@click.pass_obj
def show_(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """Show what is followed and how it stands. The token is never shown."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    source = _connected(client, found)
    show(source, output, lambda: _print_source(found, source))


def _print_source(found: dict[str, Any], source: Source) -> None:
    follows = f"{source['branch']} of {source['address']}"
    click.echo(clean(f"{found['name']} follows {follows}: {source['title']}"))
    for line in (source["problem"], source["note"]):
        if line:
            click.echo(clean(line))
    print_table(("", ""), [(name, value) for name, value in _facts(source) if value], empty="")
    if source["offered_host_key"]:
        note(to_trust(found, source))
    click.echo(source["url"])


def _facts(source: Source) -> list[tuple[str, str]]:
    every = source["every_minutes"]
    access = (
        "a key that Airdeck made" if source["public_key"] else "a token" if source["has_token"] else "none"
    )
    deployed = f"deploy {source['deploy']}" if source["deploy"] else source["handled"]
    return [
        ("Folder", source["subfolder"] or "the whole repository"),
        ("Looks", "never by itself" if every is None else f"every {every} min"),
        (
            "A newer commit",
            "is deployed automatically" if source["automatic"] else "waits for: airdeck git deploy",
        ),
        ("Credentials", access),
        ("Public key", source["public_key"]),
        ("Host key", source["host_key"]),
        (
            "Webhook",
            source["webhook_url"]
            if source["has_webhook_secret"]
            else "has no secret yet: airdeck git webhook",
        ),
        ("Newest commit", source["head"] or "not known yet"),
        ("Last deployed", deployed or "nothing yet"),
        (
            "History",
            f"rewritten: it does not descend from {source['rewritten']}" if source["rewritten"] else "",
        ),
        ("Looked", moment(source["looked_at"]) or "not yet"),
        ("Asked for", f"the newest commit, by {source['asked_by']}" if source["asked_at"] else ""),
    ]


@git.command()
@deployment_argument
@wait_options(WAIT)
@output_option
@click.pass_obj
def check(at: Globals, /, deployment: str, named: str, wait: bool, wait_time: int, output: str) -> None:
    """Look at the branch now. A newer commit is deployed, unless the source was connected with --manual."""
    _look(at, deployment, named, "check", wait, wait_time, output)


@git.command()
@deployment_argument
@wait_options(WAIT)
@output_option
@click.pass_obj
def deploy(at: Globals, /, deployment: str, named: str, wait: bool, wait_time: int, output: str) -> None:
    """Deploy the newest commit. It need not be newer than what was deployed last."""
    _look(at, deployment, named, "deploy", wait, wait_time, output)


def _look(
    at: Globals, /, deployment: str, named: str, verb: str, wait: bool, seconds: int, output: str
) -> None:
    client = at.client()
    found = find_deployment(client, deployment, named)
    _connected(client, found)
    since = newest_deploy(client, found) if wait else None
    source = _ask(client, found, verb)
    report(client, found, source, since=since, seconds=seconds, output=output, table=_print_looking)


def _print_looking(found: dict[str, Any], source: Source) -> None:
    if source["looking"]:
        click.echo(f"Airdeck looks at {clean(source['branch'])} of {clean(source['address'])}.")
        click.echo(f"See what comes of it with: airdeck git show {found['release_name']}")
        return
    click.echo(f"{clean(source['branch'])} is at {source['head'] or 'no known commit'}: {source['title']}.")
    if source["note"]:
        click.echo(clean(source["note"]))


@git.command()
@click.argument("fingerprint", default="", metavar="[FINGERPRINT]")
@deployment_option
@wait_options(WAIT)
@output_option
@click.pass_obj
def trust(
    at: Globals,
    /,
    fingerprint: str,
    deployment: str,
    named: str,
    wait: bool,
    wait_time: int,
    output: str,
) -> None:
    """Trust the host key of a server over ssh.

    It is trusted if it has this FINGERPRINT; without one you are shown it, and asked. Compare it with the fingerprint
    that your Git host publishes.
    """
    client = at.client()
    found = find_deployment(client, deployment, named)
    before = _connected(client, found)
    offered = before["offered_host_key"]
    if not offered and (not fingerprint or fingerprint != before["host_key"]):
        how = f"Let Airdeck look first: airdeck git check {found['release_name']} --wait"
        raise CliError(f"The server has shown no host key that waits to be trusted. {how}", CONFLICT)
    if offered and fingerprint and fingerprint != offered:
        raise CliError(f"The server shows {offered}, not {fingerprint}. Nothing was trusted.", CONFLICT)
    named_so = f"airdeck git trust {offered} -d {found['release_name']}"
    how = f"Compare {offered} with what your Git host publishes, then name it: {named_so}"
    if not fingerprint and not confirm(
        f"The server shows the host key {offered}. Is this the one that your Git host publishes?",
        yes=False,
        otherwise=how,
    ):
        raise CliError("Nothing was trusted.", FAILED)
    since = newest_deploy(client, found) if wait else None
    source = _ask(client, found, "host-key", {"fingerprint": fingerprint or offered})

    def table(found: dict[str, Any], source: Source) -> None:
        click.echo(f"{source['host_key']} is trusted.")
        _print_looking(found, source)

    report(client, found, source, since=since, seconds=wait_time, output=output, table=table)


@git.command()
@deployment_argument
@click.option("--new-secret", is_flag=True, help="Make its secret and print it, this once.")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_obj
def webhook(at: Globals, /, deployment: str, named: str, new_secret: bool, yes: bool, output: str) -> None:
    """Print the address for push events. With --new-secret the secret alone is on standard
    output."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    source = _connected(client, found)
    address = {"webhook_url": source["webhook_url"], "has_webhook_secret": source["has_webhook_secret"]}
    if not new_secret:
        show(address, output, lambda: click.echo(source["webhook_url"]))
        if output == "table" and not source["has_webhook_secret"]:
            note("It has no secret yet, so no event is accepted. Make one with --new-secret.")
        return
    question = "Replace the secret of the webhook? The one that the Git host has now stops working at once."
    if source["has_webhook_secret"] and not confirm(question, yes=yes, otherwise="Say --yes to replace it."):
        raise CliError("Nothing was replaced.", FAILED)
    key = {"Idempotency-Key": new_key()}  # when the answer is lost, the same secret is answered again
    made = client.send(
        "POST", f"{path_of(found)}/webhook-secret", headers=key, repeatable=True, lost=SECRET_LOST
    ).body
    show(made, output, lambda: click.echo(made["secret"]))
    if output == "table":
        note(f"It is shown this once. Push events go as JSON to {made['webhook_url']}")


@git.command()
@deployment_argument
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def disconnect(at: Globals, /, deployment: str, named: str, yes: bool) -> None:
    """Disconnect the repository. Its token or key and the webhook's secret are deleted; what was deployed stays."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    address = clean(_connected(client, found)["address"])
    if not confirm(
        f"Disconnect {address} from {found['name']}?", yes=yes, otherwise="Disconnect it with --yes."
    ):
        raise CliError("Nothing was disconnected.", FAILED)
    client.send("DELETE", path_of(found))
    click.echo(f"{address} is disconnected from {found['name']}. What was deployed stays.")
