"""Named places where a test can make this process fail. FAILPOINTS="name:kill,other:sleep=3" arms them; without it
each call is one dictionary look-up. Never set in production: `up` and deploy/ do not pass it on."""

import os
import signal
import time


class InjectedFailure(Exception):
    """Raised by an armed failpoint of kind "raise"."""


def _parse(text: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in text.split(",") if ":" in part)


ARMED = _parse(os.environ.get("FAILPOINTS", ""))


def failpoint(name: str) -> None:
    """Fail here if a test asked for it: "kill" ends the process, "raise" raises, "sleep=N" hangs for N seconds."""
    action = ARMED.get(name)
    if action is None:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise InjectedFailure(name)
    elif action.startswith("sleep="):
        time.sleep(float(action.removeprefix("sleep=")))
