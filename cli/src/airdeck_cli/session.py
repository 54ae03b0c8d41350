"""What stands before the command, for all of them."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airdeck_cli.errors import NOT_ALLOWED, CliError, not_given

if TYPE_CHECKING:
    from airdeck_cli.client import Client


@dataclass
class Globals:
    """The options before the command."""

    context: str
    ca: str
    debug: bool

    def client(self) -> "Client":
        """The API of the console that is meant. Raises CliError."""
        from airdeck_cli import contexts
        from airdeck_cli.client import Client

        found = contexts.current(self.context)
        if not found.token and "AIRDECK_TOKEN" in os.environ:
            raise not_given("AIRDECK_TOKEN")
        if not found.token:
            raise CliError(
                f"You are not signed in to {found.url}. Run: airdeck login {found.url}", NOT_ALLOWED
            )
        return Client(found, ca=self.ca, debug=self.debug)
