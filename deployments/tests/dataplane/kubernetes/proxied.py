"""What the API server of the tests does with `services/NAME:PORT/proxy/…`: as the real one, it finds a ready pod behind
the Service, takes the caller's sign-in away, and passes the question on."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping

from deployments.tests.dataplane.kubernetes.store import Place, Refusal, Store

ROUTE = re.compile(
    r"^/api/v1/namespaces/(?P<namespace>[^/]+)/services/(?P<service>[^/]+)/proxy(?P<path>/.*)?$"
)
HEADERS = ("X-Airdeck-Program", "Content-Type")


def passed_on(
    store: Store,
    programs: Mapping[tuple[str, str], str],
    found: re.Match[str],
    query: str,
    headers: Mapping[str, str],
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers. `programs` says where in this process's network a Service's pods would be."""
    name, _, port = found["service"].partition(":")
    namespace = found["namespace"]
    service = store.get(Place("v1", "services", namespace, name))
    if port not in [each["name"] for each in service["spec"]["ports"]]:
        raise Refusal(503, "ServiceUnavailable", f'no service port "{port}" found for service "{name}"')
    pods, _ = store.listed("v1", "pods", namespace)
    chosen = service["spec"]["selector"].items()
    behind = [pod for pod in pods if chosen <= (pod["metadata"].get("labels") or {}).items()]
    ready = [
        pod
        for pod in behind
        for one in (pod.get("status") or {}).get("conditions") or ()
        if one["type"] == "Ready" and one["status"] == "True"
    ]
    if not ready:
        raise Refusal(503, "ServiceUnavailable", f'no endpoints available for service "{found["service"]}"')
    place = programs.get((namespace, name))
    if place is None:
        message = "error trying to reach service: dial tcp 10.1.2.3:8091: connect: connection refused"
        raise Refusal(503, "ServiceUnavailable", message)
    kept = {key: value for key, value in headers.items() if key.lower() not in ("authorization", "host")}
    asked = urllib.request.Request(f"{place}{found['path']}{'?' * bool(query)}{query}", headers=kept)
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, answer.read().decode(), _of(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), _of(error.headers)


def _of(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in HEADERS if name in headers}
