"""The bare script that a fleet is measured against: sends objects to an API server over eight connections, and nothing
else. `python -m console.bench.fleet_script FILE` prints the seconds that it took. Standard library alone.

The first line of FILE is JSON: server, ca, token. Each further line is one Deployment: a JSON list of
[path, body], of which the first goes before the others. One connection sends those of one Deployment in turn.
"""

import http.client
import json
import ssl
import sys
import threading
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 8
QUERY = "?fieldManager=script&force=true"
APPLY = "application/apply-patch+yaml"


def main(file: Path) -> float:
    """Send all of them; the seconds from the first connection to the last answer. Raises RuntimeError on a refusal."""
    with file.open() as lines:
        about = json.loads(next(lines))
        waiting = deque(json.loads(line) for line in lines)
    context = ssl.create_default_context(cadata=about["ca"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    failed: list[str] = []
    threads = [
        threading.Thread(target=_send, args=(about, context, waiting, failed)) for _ in range(CONNECTIONS)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.monotonic() - began
    if failed:
        raise RuntimeError(failed[0])
    return taken


def _send(
    about: dict[str, str], context: ssl.SSLContext, waiting: deque[list[list[str]]], failed: list[str]
) -> None:
    headers = {
        "Authorization": f"Bearer {about['token']}",
        "Content-Type": APPLY,
        "Accept": "application/json",
    }
    with closing(
        http.client.HTTPSConnection(urlsplit(about["server"]).netloc, context=context, timeout=60)
    ) as server:
        while not failed:
            try:
                objects = waiting.popleft()
            except IndexError:
                return
            for path, body in objects:
                server.request("PATCH", path + QUERY, body, headers)
                answer = server.getresponse()
                text = answer.read()
                if answer.status >= 300:
                    failed.append(f"{path}: {answer.status} {text[:300]!r}")
                    return


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
