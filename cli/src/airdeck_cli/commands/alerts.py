"""airdeck alert list, silence; alert rule list, set, delete. `alert channel`, `deliveries` and `resend` are in files of
their own."""

from typing import Any

import click

from airdeck_cli.client import Client
from airdeck_cli.commands.alert_channels import channel
from airdeck_cli.commands.alert_deliveries import deliveries, resend
from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.finding import Command, find_deployment, which_deployment, workspace_option, workspace_place
from airdeck_cli.groups import Group
from airdeck_cli.output import confirm, moment, output_option, print_table, show
from airdeck_cli.session import Globals

HOURS = ("1", "4", "24", "168", "0")


def place_options(function: Command) -> Command:
    """Of one Deployment, else of the Workspace."""
    function = workspace_option(function)
    return which_deployment("Of this Deployment alone: its release name or its name.")(function)


def _place(client: Client, workspace: str, deployment: str) -> tuple[str, str]:
    """Its address in the API, and its name. Raises CliError."""
    if deployment:
        found = find_deployment(client, deployment, "")
        return f"/deployments/{found['release_name']}", found["name"]
    return workspace_place(client, workspace)


@click.group(cls=Group)
def alert() -> None:
    """Alerts, and the rules that find them: of the Workspace, or with --deployment of one Deployment."""


@alert.command("list")
@click.option("--resolved", is_flag=True, help="What was resolved within the last seven days.")
@place_options
@output_option
@click.pass_obj
def list_(at: Globals, /, resolved: bool, workspace: str, deployment: str, output: str) -> None:
    """List what is open, newest first."""
    client = at.client()
    place, name = _place(client, workspace, deployment)
    rows = list(client.pages(f"{place}/alerts", state="resolved" if resolved else "open"))
    heads = ("OPENED", "DEPLOYMENT", "ALERT", "SILENCED UNTIL", "ID")

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        where = row["release_name"] or ""
        return (moment(row["opened_at"]), where, row["headline"], moment(row["silenced_until"]), row["id"])

    empty = f"No alert of {name} was resolved lately." if resolved else f"No alert of {name} is open."
    show(rows, output, lambda: print_table(heads, [line(row) for row in rows], empty=empty))


@alert.command()
@click.argument("alert", default="")
@click.option(
    "--hours", required=True, type=click.Choice(HOURS), help="For how many hours; 0 ends the silence."
)
@place_options
@output_option
@click.pass_obj
def silence(at: Globals, /, alert: str, hours: str, workspace: str, deployment: str, output: str) -> None:
    """Silence an alert, or a Deployment.

    Nothing is sent for a while about the open ALERT with this id, or with --deployment about that Deployment.
    """
    if bool(alert) == bool(deployment):
        raise CliError("Say what to silence: either the id of an alert, or a Deployment with -d.", USAGE)
    client = at.client()
    place, name = _place(client, workspace, deployment)
    path = f"{place}/alerts/silence" if deployment else f"{place}/alerts/{alert}/silence"
    answer = client.send("POST", path, {"hours": int(hours)}, repeatable=True).body
    until = moment(answer["silenced_until"])
    what = f"All alerts of {name}" if deployment else f"“{answer['headline']}”"
    verb = "are" if deployment else "is"
    done = f"{what} {verb} silenced until {until}." if until else f"{what} {verb} not silenced."
    show(answer, output, lambda: click.echo(done))


@alert.group()
def rule() -> None:
    """What is watched for."""


@rule.command("list")
@place_options
@output_option
@click.pass_obj
def rule_list(at: Globals, /, workspace: str, deployment: str, output: str) -> None:
    """List the rules; of a Deployment those that apply there."""
    client = at.client()
    place, name = _place(client, workspace, deployment)
    rows = client.get(f"{place}/alert-rules")["items"]
    heads = ("KIND", "RULE", "ON", "SENT TO", "OF")

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        of = "the Deployment" if deployment and not row["inherited"] else "the Workspace"
        on = "yes" if row["enabled"] else "no"
        return (row["kind"], row["title"], on, ", ".join(row["channels"]) or "nowhere", of)

    empty = f"Nothing is watched for in {name}. Set a rule with: airdeck alert rule set KIND"
    show(rows, output, lambda: print_table(heads, [line(row) for row in rows], empty=empty))


@rule.command("set")
@click.argument("kind")
@click.option("--amount", type=int, help="Minutes, hours or days, as the kind has them.")
@click.option("--dag", default="", help="The DAG, where the kind is about one.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    help='Where it is sent, in place of where it was. May be given several times; "" for nowhere.',
)
@click.option(
    "--on/--off",
    "enabled",
    default=None,
    help="Switch it on or off; in a Deployment also one of the Workspace.",
)
@place_options
@output_option
@click.pass_obj
def rule_set(
    at: Globals,
    /,
    kind: str,
    amount: int | None,
    dag: str,
    channels: tuple[str, ...],
    enabled: bool | None,
    workspace: str,
    deployment: str,
    output: str,
) -> None:
    """Set the rule of a kind: a new one, or the one that exists, of which the rest stays.

    A new one is on; one of a Deployment begins as the Workspace's. KIND is unhealthy, stalled, deploy_failed,
    run_failed, no_success, queue_waiting, queue_missing, import_errors, scheduler_silent, runtime_ending or
    token_ending.
    """
    client = at.client()
    place, name = _place(client, workspace, deployment)
    body = {"kind": kind, "enabled": True, **_rule_there(client, place, kind, dag)}
    named = {"enabled": enabled, "amount": amount, "dag": dag or None}
    body |= {key: value for key, value in named.items() if value is not None}
    if channels:
        body["channels"] = [each for each in channels if each]
    made = client.send("POST", f"{place}/alert-rules", body, repeatable=True).body
    state = "on" if made["enabled"] else "off"
    sent = f", sent to {', '.join(made['channels'])}" if made["channels"] else ", shown on the pages alone"
    done = f"{made['title']} is {state} in {name}{sent if made['enabled'] else ''}."
    show(made, output, lambda: click.echo(done))


def _rule_there(client: Client, place: str, kind: str, dag: str) -> dict[str, Any]:
    """What a change of the rule keeps of the one that applies there; nothing without one. Whether the Workspace's is
    on says nothing about one that a Deployment is to have of its own."""
    for row in client.get(f"{place}/alert-rules")["items"]:
        if (row["kind"], row["dag"]) == (kind, dag.strip()):
            kept = ("channels",) if row["inherited"] else ("channels", "enabled")
            amount = {} if row["amount"] is None else {"amount": row["amount"]}
            return amount | {key: row[key] for key in kept}
    return {}


@rule.command("delete")
@click.argument("rule")
@click.option("--dag", default="", help="The DAG, where there are several rules of the kind.")
@click.option("-f", "--force", "-y", "--yes", "yes", is_flag=True, help="Do not ask.")
@place_options
@click.pass_obj
def rule_delete(at: Globals, /, rule: str, dag: str, yes: bool, workspace: str, deployment: str) -> None:
    """Delete a RULE, by its kind or its id. In a Deployment the Workspace's rule applies again."""
    client = at.client()
    place, name = _place(client, workspace, deployment)
    rows = [row for row in client.get(f"{place}/alert-rules")["items"] if not row["inherited"]]
    found = [row for row in rows if row["id"] == rule or (row["kind"] == rule and dag in {"", row["dag"]})]
    if len(found) != 1:
        many = "Several rules are" if found else "There is no rule"
        more = "Name the DAG with --dag." if found else "List them with: airdeck alert rule list"
        raise CliError(f"{many} {rule} of {name} itself. {more}", USAGE)
    if not confirm(
        f"Delete the rule {found[0]['title']} of {name}?", yes=yes, otherwise="Delete it with --yes."
    ):
        raise CliError("Nothing was deleted.")
    client.send("DELETE", f"{place}/alert-rules/{found[0]['id']}")
    click.echo(f"The rule {found[0]['title']} of {name} is deleted.")


for each in (channel, deliveries, resend):
    alert.add_command(each)
