"""The signals of a migration's Job: what keeps it from being done, as one sentence. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.kit.wording import exact
from deployments.dataplane.kubernetes.health import messages as causes
from deployments.dataplane.kubernetes.health import pods
from deployments.dataplane.kubernetes.health.signals import (
    FAILING,
    STARTING,
    Finding,
    how_often,
    most_severe,
    of_pod,
    recent,
)
from deployments.dataplane.kubernetes.text import clause, moment

type Raw = Mapping[str, Any]


def of_job(job: Raw, job_pods: Sequence[Raw], events: Sequence[Raw], now: datetime) -> Finding | None:
    """What keeps a migration from being done; None once it is Complete."""
    subject = "The migration of the metadata database"
    if pods.condition(job, "Complete").get("status") == "True":
        return None
    failed = pods.condition(job, "Failed")
    if failed.get("status") == "True":
        return Finding(85, FAILING, _job_failed(job, failed, job_pods, subject))
    if pods.condition(job, "Suspended").get("status") == "True":
        return Finding(
            62, FAILING, f"{subject} is suspended in the cluster. Set suspend of its Job to false."
        )
    found = [one for pod in job_pods for one in of_pod(pod, "the migration", events, now)]
    reported = pods.events_of(events, "Job", [str(job["metadata"].get("name"))])
    creation = [event.message for event in recent(reported, now) if event.reason == "FailedCreate"]
    found += [Finding(80, FAILING, causes.creation("the migration", text)) for text in creation[-1:]]
    bad = most_severe(one for one in found if one.state is FAILING)
    if bad is not None:
        return replace(bad, sentence=f"{bad.sentence[0].upper()}{bad.sentence[1:]}")
    began = moment((job.get("status") or {}).get("startTime")) or pods.began(job) or now
    sentence = f"Waiting for the database migration (running for {exact((now - began).total_seconds())})."
    return Finding(20, STARTING, sentence)


def _job_failed(job: Raw, failed: Raw, job_pods: Sequence[Raw], subject: str) -> str:
    if failed.get("reason") == "DeadlineExceeded":
        limit = float((job.get("spec") or {}).get("activeDeadlineSeconds") or 0)
        within = f" in {exact(limit)}" if limit else ""
        return f"{subject} did not finish{within}, and was stopped. Its log says how far it came."
    ends = [over for pod in job_pods for one in pods.containers(pod) if (over := pods.ended_now(one))]
    ends = [over for over in ends if over.code != 0]
    if any(over.reason == "OOMKilled" for over in ends):
        return f"{subject} ran out of memory. Its Job needs a larger limit."
    code = f" (exit {ends[-1].code})" if ends else f" ({clause(failed.get('message'), 200)})"
    tries = int((job.get("status") or {}).get("failed") or 1)
    return f"{subject} failed {how_often(tries)}{code}. Its log says why."
