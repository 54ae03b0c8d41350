"""airdeck alert channel list, create, update, secret, test, delete."""

import time
from typing import Any

import click

from airdeck_cli.client import SECRET_LOST, Client, look, new_key
from airdeck_cli.errors import FAILED, TIMED_OUT, USAGE, CliError
from airdeck_cli.finding import Command, workspace_option, workspace_place
from airdeck_cli.following import wait_options
from airdeck_cli.groups import Group
from airdeck_cli.output import clean, confirm, note, output_option, print_table, show
from airdeck_cli.session import Globals

KINDS = ("admins", "email", "slack", "webhook")
PAUSE = 1.0  # seconds between two questions
Channel = dict[str, Any]


def where_options(function: Command) -> Command:
    """Where it leads: mailboxes, or the address of a webhook, which is a secret."""
    function = click.option(
        "--url-file", metavar="FILE", default="", help="Read the address from this file."
    )(function)
    function = click.option(
        "--url-stdin", is_flag=True, help="Read the address of a webhook from standard input."
    )(function)
    return click.option(
        "--email", "emails", multiple=True, metavar="ADDRESS", help="A mailbox. May be given several times."
    )(function)


def _url(*, stdin: bool, file: str) -> str | None:
    from airdeck_cli import secret_input

    flags = ("--url-stdin", "--url-file")
    return secret_input.read("address", flags=flags, variable="AIRDECK_CHANNEL_URL", stdin=stdin, file=file)


def _find(client: Client, place: str, typed: str) -> Channel:
    """The channel with this name or id. Raises CliError."""
    rows: list[Channel] = client.get(f"{place}/alert-channels")["items"]
    for row in rows:
        if typed in {row["name"], row["id"]}:
            return row
    raise CliError(f"There is no channel {typed}. List them with: airdeck alert channel list", USAGE)


@click.group(cls=Group)
def channel() -> None:
    """Where alerts of a Workspace are sent."""


@channel.command("list")
@workspace_option
@output_option
@click.pass_obj
def channel_list(at: Globals, /, workspace: str, output: str) -> None:
    """List the channels of the Workspace."""
    client = at.client()
    place, name = workspace_place(client, workspace)
    rows = client.get(f"{place}/alert-channels")["items"]
    lines = [(row["name"], row["kind"], row["leads_to"], len(row["rules"]) or "none") for row in rows]
    empty = f"{name} has no channel. Make one with: airdeck alert channel create NAME --kind admins"
    heads = ("NAME", "KIND", "LEADS TO", "RULES")
    show(rows, output, lambda: print_table(heads, lines, empty=empty))


@channel.command()
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="Where it leads.")
@where_options
@workspace_option
@output_option
@click.pass_obj
def create(
    at: Globals,
    /,
    name: str,
    kind: str,
    emails: tuple[str, ...],
    url_stdin: bool,
    url_file: str,
    workspace: str,
    output: str,
) -> None:
    """Make a channel. The secret of a webhook is printed this once, alone on standard output.

    The address of a webhook is read from standard input, a file or AIRDECK_CHANNEL_URL, never from an argument.
    """
    body: dict[str, Any] = {"kind": kind, "name": name}
    if emails:
        body["addresses"] = list(emails)
    if kind in {"slack", "webhook"} or url_stdin or url_file:
        body["url"] = _url(stdin=url_stdin, file=url_file)
    client = at.client()
    place, _ = workspace_place(client, workspace)
    made = _post(
        client, f"{place}/alert-channels", body, look("airdeck alert channel list", workspace=workspace)
    )
    _print_made(made, output)


def _post(client: Client, path: str, body: object, lost: str) -> dict[str, Any]:
    """What makes a secret: when the answer is lost the same request is sent again, and makes no other one."""
    key = {"Idempotency-Key": new_key()}
    made: dict[str, Any] = client.send("POST", path, body, headers=key, repeatable=True, lost=lost).body
    return made


def _where(row: Channel) -> str:
    return f"{clean(row['name'])} leads to {clean(row['leads_to'])}."


def _print_made(made: dict[str, Any], output: str) -> None:
    what = _where(made["channel"])
    show(made, output, lambda: click.echo(made["secret"] or what))
    if made["secret"] and output == "table":
        note(f"{what} The secret that signs its messages is shown this once.")


@channel.command()
@click.argument("channel")
@click.option("--name", default=None, help="Another name.")
@where_options
@workspace_option
@output_option
@click.pass_obj
def update(
    at: Globals,
    /,
    channel: str,
    name: str | None,
    emails: tuple[str, ...],
    url_stdin: bool,
    url_file: str,
    workspace: str,
    output: str,
) -> None:
    """Change a CHANNEL, by its name or its id: only what you name. Mailboxes take the place of those there are."""
    body: dict[str, Any] = {} if name is None else {"name": name}
    if emails:
        body["addresses"] = list(emails)
    client = at.client()
    place, _ = workspace_place(client, workspace)
    row = _find(client, place, channel)
    if url_stdin or url_file or (row["kind"] in {"slack", "webhook"} and not body):
        url = _url(stdin=url_stdin, file=url_file)
        body |= {} if url is None else {"url": url}
    if not body:
        raise CliError("Say what to change, for instance --name.", USAGE)
    changed = client.send("PATCH", f"{place}/alert-channels/{row['id']}", body).body
    show(changed, output, lambda: click.echo(_where(changed)))


@channel.command()
@click.argument("channel")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@workspace_option
@output_option
@click.pass_obj
def secret(at: Globals, /, channel: str, yes: bool, workspace: str, output: str) -> None:
    """Give a webhook (its name or id) another secret and print it, this once. The one before ends at once."""
    client = at.client()
    place, _ = workspace_place(client, workspace)
    row = _find(client, place, channel)
    if row["kind"] != "webhook":
        raise CliError(f"{row['name']} is not a webhook, so it has no secret.", USAGE)
    if not confirm(f"Replace the secret of {row['name']}?", yes=yes, otherwise="Say --yes to replace it."):
        raise CliError("Nothing was replaced.", FAILED)
    _print_made(_post(client, f"{place}/alert-channels/{row['id']}/secret", None, SECRET_LOST), output)


@channel.command("test")
@click.argument("channel")
@wait_options(60)
@workspace_option
@output_option
@click.pass_obj
def try_out(at: Globals, /, channel: str, wait: bool, wait_time: int, workspace: str, output: str) -> None:
    """Send a message that says that it is a test. With --wait it ends with what came back."""
    client = at.client()
    place, _ = workspace_place(client, workspace)
    row = _find(client, place, channel)
    shows = look("airdeck alert deliveries", channel=row["id"], workspace=workspace)
    sent = client.send("POST", f"{place}/alert-channels/{row['id']}/test", lost=shows).body["items"]
    if wait:
        sent = _until_sent(client, place, row, sent, wait_time)
    lines = [(each["address"], each["state"], each["status"] or "", each["answer"]) for each in sent]
    empty = "It leads to no one at the moment, so nothing was sent."
    show(sent, output, lambda: print_table(("TO", "STATE", "STATUS", "ANSWER"), lines, empty=empty))
    if any(each["state"] == "failed" for each in sent):
        raise CliError(f"Not every test to {row['name']} was sent.", FAILED)


def _until_sent(
    client: Client, place: str, row: Channel, sent: list[dict[str, Any]], seconds: int
) -> list[dict[str, Any]]:
    """The messages once none is on its way. Raises CliError when time is up."""
    deadline, asked_for = time.monotonic() + seconds, {each["id"] for each in sent}
    while any(each["state"] == "queued" for each in sent):
        if time.monotonic() >= deadline:
            why = "; ".join(dict.fromkeys(clean(each["answer"]) for each in sent if each["answer"]))
            raise CliError(
                f"The test to {row['name']} was not sent within {seconds} s. Airdeck keeps trying. {why}".rstrip(),
                TIMED_OUT,
            )
        time.sleep(PAUSE)
        rows = client.get(f"{place}/alert-deliveries", channel=row["id"], limit=100)["items"]
        sent = [each for each in rows if each["id"] in asked_for]
    return sent


@channel.command()
@click.argument("channel")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@workspace_option
@click.pass_obj
def delete(at: Globals, /, channel: str, yes: bool, workspace: str) -> None:
    """Delete a CHANNEL, by its name or its id. Rules that name it stay, and go without it."""
    client = at.client()
    place, _ = workspace_place(client, workspace)
    row = _find(client, place, channel)
    rules = f" {len(row['rules'])} rules name it." if len(row["rules"]) > 1 else ""
    rules = " One rule names it." if len(row["rules"]) == 1 else rules
    if not confirm(f"Delete {row['name']}?{rules}", yes=yes, otherwise="Delete it with --yes."):
        raise CliError("Nothing was deleted.", FAILED)
    client.send("DELETE", f"{place}/alert-channels/{row['id']}")
    click.echo(f"{clean(row['name'])} is deleted. Nothing is sent there any more.")
