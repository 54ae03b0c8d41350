"""What is counted and logged of each pass."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from console.kit import metrics
from deployments.reconciler.recording import Record

logger = structlog.get_logger(__name__)

KEEP = "keep"  # nothing is to be changed: it is kept running
LEASE_LOST, ERROR = "lease_lost", "error"


@dataclass
class Measure:
    """How a pass ended. Until that is known it counts as one that was cut off."""

    outcome: str = "cut_off"


def outcome_of(entry: Record) -> str:
    """How the pass ended, in one of the words of docs/metrics.md."""
    if not entry.observed:
        return "unreachable"
    if entry.error:
        return "refused"
    if entry.gone:
        return "finished"
    return str(entry.progress.outcome) if entry.progress else "settled"


@contextmanager
def of_pass(purpose: str) -> Iterator[Measure]:
    """Time the block, count it, and log it when it was to change something."""
    measure, began = Measure(), time.monotonic()
    try:
        yield measure
    finally:
        seconds = time.monotonic() - began
        metrics.PASSES.observe(seconds, purpose, measure.outcome)
        if purpose != KEEP:
            logger.info("pass", operation=purpose, outcome=measure.outcome, seconds=round(seconds, 3))
