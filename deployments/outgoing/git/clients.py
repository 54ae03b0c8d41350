"""The one who speaks to a Git server, and how many bytes it may take from it."""

from typing import TYPE_CHECKING

from deployments.domain import git_address
from deployments.domain.code_errors import MIB
from deployments.domain.git_address import GitAddress
from deployments.domain.public_hosts import Listed
from deployments.outgoing.git.https import HttpsClient
from deployments.outgoing.git.wish import GitRefused, GitWish, RefusalKind

if TYPE_CHECKING:
    from deployments.outgoing.git.ssh import SshClient

    type Client = HttpsClient | SshClient


class Counter:
    """Counts the bytes that came, and stops at too many."""

    def __init__(self, most: int) -> None:
        self._came, self._most = 0, most

    def __call__(self, count: int) -> None:
        """Count so many bytes more. Raises GitRefused."""
        self._came += count
        if self._came > self._most:
            raise GitRefused(
                f"The newest commit alone has more than {self._most // MIB} MiB, so it was not fetched to the end. "
                "Keep data out of the repository, or give the DAGs one of their own.",
                RefusalKind.LASTING,
            )


def client_for(address: GitAddress, wish: GitWish) -> "Client":
    """Made for one conversation, with the credentials of the wish."""
    counter, listed = Counter(wish.most_bytes), Listed.of(wish.listed)
    if address.scheme == git_address.HTTPS:
        return HttpsClient(address, user=wish.token_user, token=wish.token, listed=listed, count=counter)
    from deployments.outgoing.git.ssh import SshClient  # takes a second of CPU

    return SshClient(
        address, private_key=wish.private_key, host_key=wish.host_key, listed=listed, count=counter
    )
