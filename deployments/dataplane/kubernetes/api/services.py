"""Asking a program in a Deployment's namespace by way of the API server, which passes requests on to a Service.

It takes our sign-in out of what it passes on, so the program is shown a token of its own, in a header of our own. An
answer of the program names that program in a header; without it the answer is the API server's.
"""

import re
from collections.abc import Mapping

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import (
    MAX_ANSWER,
    Api,
    Silent,
    Unconnected,
    path_of,
    translated,
)
from deployments.dataplane.kubernetes.api.transport import Request

PATIENCE_SECONDS = 3.0  # a person waits, and the API server tries for half a minute
PROGRAM = "X-Airdeck-Program"
TOKEN = "X-Airdeck-Token"  # noqa: S105 - the name of a header
# How the API server says that it cannot pass a request on: all of it about the Service, none about itself.
NOT_PASSED_ON = re.compile(
    r"endpoints|reach service|service port|dial tcp|no route to host|connection refused", re.I
)


class NotThere(DataPlaneError):
    """The API server answers, and the program does not. `silent`: nothing came, in time; else it does not run."""

    def __init__(self, sentence: str, *, silent: bool = False) -> None:
        super().__init__(sentence)
        self.silent = silent


class Services(Api):
    """An Api that also passes questions on. What a program does not answer is asked once and holds up nothing else."""

    def ask(
        self, namespace: str, service: str, path: str, token: str, query: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """The program's status and answer. `service` is "name:port". Raises NotThere when it does not answer, and
        DataPlaneError when the API server does not, or does not let us."""
        whole = f"{path_of('v1', 'Service', namespace)}/{service}/proxy{path}"
        request = Request("GET", whole, f"service {service}", query, headers={TOKEN: token})
        self._connection.permit()
        try:
            with translated():
                response = self._connection.send(request, max(0.1, min(PATIENCE_SECONDS, self.left)))
                self._connection.count(request.method, str(response.status))
                raw = self._read(response, MAX_ANSWER, request.what)
        except Unconnected:
            raise
        except Silent:
            raise NotThere("It did not answer in time.", silent=True) from None
        if response.headers.get(PROGRAM):
            return response.status, raw
        if response.status >= 500 and NOT_PASSED_ON.search(raw[:2000].decode(errors="replace")):
            raise NotThere("It does not run.")
        if response.status < 300 or response.status == 404:
            raise NotThere("There is no such service, or something else answers in its place.")
        raise self._refusal(response, raw, request.what)
