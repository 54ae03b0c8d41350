"""The one kind of command group: it knows other words for its commands, which help and completion do not list."""

from typing import Any

import click

ALIASES = {
    "de": "deployment",
    "hb": "hibernate",
    "wu": "wake-up",
    "wq": "worker-queue",
    "var": "variable",
    "ls": "list",
}


class Group(click.Group):
    """A group of commands. `aliases` are words of its own beside ALIASES, each for a command of the group."""

    group_class = type  # a group within a group is of the same kind

    def __init__(self, *args: Any, aliases: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aliases = {**ALIASES, **(aliases or {})}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, else of this alias; None when there is none."""
        return self.named(ctx, cmd_name) or self.named(ctx, self.aliases.get(cmd_name, ""))

    def named(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of exactly this name; None when there is none."""
        return super().get_command(ctx, name)
