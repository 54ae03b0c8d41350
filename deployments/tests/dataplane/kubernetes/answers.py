"""Faults that a test scripts for the emulator."""

import re
from dataclasses import dataclass, field

from deployments.tests.dataplane.kubernetes.store import Json


@dataclass
class Answer:
    """One scripted answer. `act` is "status" (this answer), "hang" (nothing, until the test ends), "reset" (close
    without an answer), "truncate" (half of the right answer), "lose" (do it, then close without an answer), "huge"
    (an answer without end)."""

    act: str = "status"
    status: int = 500
    message: str = "scripted"
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    causes: list[Json] = field(default_factory=list)


@dataclass
class Script:
    """Answers for the requests whose "METHOD path" matches; the last one for ever when `always`."""

    pattern: re.Pattern[str]
    answers: list[Answer]
    always: bool = False

    def take(self) -> Answer | None:
        if not self.answers:
            return None
        return self.answers[0] if self.always and len(self.answers) == 1 else self.answers.pop(0)
