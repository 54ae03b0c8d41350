"""The tree of commands. Each is imported when it is called; their one-line helps stand here, so that --help imports
none."""

import io
import os
import sys
from importlib import import_module
from typing import Any

import click

from airdeck_cli import VERSION
from airdeck_cli.errors import FAILED, INTERRUPTED, USAGE, CliError
from airdeck_cli.groups import Group
from airdeck_cli.session import Globals

# Name -> (module and object, help). Aliases are known and not listed.
TREE: dict[str, dict[str, tuple[str, str]]] = {
    "": {
        "alert": ("alerts:alert", "Alerts, and the rules that find them."),
        "airflow-token": ("airflow:airflow_token", "Print a token for the API of an Airflow."),
        "api": ("raw:api", "Ask the API itself: api GET /deployments"),
        "completion": ("account:completion", "Print the completion script for your shell."),
        "context": ("account:context", "The consoles that are known here."),
        "dag": ("dags:dag", "The DAGs of a Deployment, as they were last read."),
        "deploy": ("deploys:deploy", "Deploy the DAGs of a folder."),
        "deployment": ("main:deployment", "Create, look at, change and delete Deployments."),
        "deploys": ("deploys:deploys", "What was deployed, and going back."),
        "git": ("git:git", "The Git repository that a Deployment follows."),
        "init": ("project:init", "Begin a project with a DAG that runs."),
        "login": ("account:login", "Sign in to a console."),
        "logout": ("account:logout", "Sign out of a console and forget it."),
        "token": ("tokens:token", "API tokens: yours, of a Workspace, of a Deployment."),
        "wait": ("waiting:wait", "Follow an operation to its end."),
        "whoami": ("account:whoami", "Who you are signed in as, and with which token."),
        "workspace": ("main:workspace", "Your Workspaces, and which one commands use."),
    },
    "deployment": {
        "activity": ("activity:deployment_activity", "List what happened to a Deployment."),
        "apply": ("files:apply", "Make a Deployment what a file says."),
        "create": ("deployments:create", "Create a Deployment."),
        "delete": ("deployments:delete", "Delete a Deployment with its database."),
        "dismiss-upgrade": ("failures:dismiss_upgrade", "Dismiss the notice of a failed upgrade."),
        "hibernate": ("deployments:hibernate", "Hibernate a Deployment."),
        "inspect": ("files:inspect", "Print a Deployment as its file."),
        "list": ("deployments:list_", "List Deployments."),
        "logs": ("logs:logs", "Print what the components write."),
        "open": ("deployments:open_", "Open a Deployment in the browser."),
        "registry": ("registry:registry", "The login with which images of your own are pulled."),
        "retry": ("failures:retry", "Try again now what failed."),
        "task-logs": ("logs:task_logs", "List the logs of tasks."),
        "update": ("deployments:update", "Change a Deployment."),
        "upgrade": ("deployments:upgrade", "Move a Deployment to a newer runtime."),
        "variable": ("variables:variable", "Environment variables of a Deployment."),
        "wake-up": ("deployments:wake_up", "Wake a Deployment up."),
        "worker-queue": ("queues:worker_queue", "Worker queues of a Deployment."),
    },
    "workspace": {
        "activity": ("activity:workspace_activity", "List what happened in a Workspace."),
        "list": ("workspaces:workspace_list", "List the Workspaces that you reach."),
        "members": ("workspaces:members", "List who belongs to the Workspace, and who is invited."),
        "rename": ("workspaces:workspace_rename", "Give the Workspace another name."),
        "switch": ("workspaces:workspace_switch", "Use this Workspace from now on."),
    },
}


class LazyGroup(Group):
    """Commands by name, imported when they are asked for."""

    def __init__(self, *args: Any, branch: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.branch = TREE[branch]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without aliases."""
        return sorted(self.branch)

    def named(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of exactly this name, imported now; None when there is none."""
        found = self.branch.get(name)
        if found is None:
            return None
        module, _, which = found[0].partition(":")
        place = "airdeck_cli.main" if module == "main" else f"airdeck_cli.commands.{module}"
        command: click.Command = getattr(import_module(place), which)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Of the table alone: nothing is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.branch[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="airdeck")
@click.option("--context", metavar="NAME", default="", help="Use this console in place of the current one.")
@click.option(
    "--ca",
    metavar="FILE",
    default="",
    envvar="AIRDECK_CA",
    help="The certificates of the console's authority, in PEM.",
)
@click.option(
    "--debug", is_flag=True, help="Print each request to standard error, without tokens and bodies."
)
@click.pass_context
def airdeck(ctx: click.Context, context: str, ca: str, debug: bool) -> None:
    """Airdeck, the console for Apache Airflow, on the command line.

    In CI set AIRDECK_URL, AIRDECK_TOKEN and AIRDECK_DEPLOYMENT.
    """
    ctx.obj = Globals(context, ca, debug)


@click.group(cls=LazyGroup, branch="deployment")
def deployment() -> None:
    """Create, look at, change and delete Deployments."""


@click.group(cls=LazyGroup, branch="workspace")
def workspace() -> None:
    """Your Workspaces, and which one commands use."""


def main() -> None:
    """The entry point: one sentence on stderr, and the exit code of errors.py."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that it has not is no reason to end
            stream.reconfigure(errors="replace")
    try:
        code = airdeck.main(standalone_mode=False)
    except CliError as error:
        for line in error.lines:
            click.echo(line, err=True)
        _end(error.exit_code)
    except click.ClickException as error:
        error.show()
        _end(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Nothing more was sent to the console.", err=True)
        _end(INTERRUPTED)
    except BrokenPipeError:  # `airdeck … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(FAILED)
    except OSError as error:  # a file of this computer; what is wrong with the network is a CliError
        what = f"{error.filename} cannot be used" if error.filename else "It does not work"
        click.echo(f"{what}: {(error.strerror or str(error)).lower()}.", err=True)
        _end(USAGE if error.filename else FAILED)
    _end(code if isinstance(code, int) else 0)


def _end(code: int) -> None:
    sys.exit(code)
