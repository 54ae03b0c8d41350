"""Why a component is as it is: its processes, what each was asked last and answered, and how it last ended."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from console.kit.wording import rough
from deployments.dataplane.contract import Instance
from deployments.dataplane.local.health import components, probe
from deployments.dataplane.local.health.components import RawState
from deployments.dataplane.local.program_names import API_SERVER, REDIS
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.reading import JOB_TYPES
from deployments.domain.log_lines import split_time
from deployments.domain.states import WORST_FIRST

ENDED = re.compile(r"(?:exited|stopped): (?P<program>[^ ]+) \((?P<how>[^;]+)(?:; [a-z ]+)?\)$")
WORDS = {"STARTING": "starting", "RUNNING": "running", "STOPPING": "ending"}


def instances(facts: RawState, component: str, daemon_log: Path) -> tuple[Instance, ...]:
    """Every process of the component, worst first. `daemon_log` is supervisord's own, which alone knows which signal
    ended a process."""
    found = [
        Instance(
            program,
            state,
            reason or "Runs, and answered when it was asked just now.",
            _labelled(facts, component, program, daemon_log),
        )
        for program, (state, reason) in components.programs(component, facts).items()
    ]
    return tuple(sorted(found, key=lambda each: (WORST_FIRST.index(each.state), each.name)))


def _labelled(facts: RawState, component: str, program: str, daemon_log: Path) -> Mapping[str, str]:
    info = facts.processes[program]
    now = facts.now.timestamp()
    alive = info.state in WORDS
    labelled = {"Process": f"{info.pid}, {WORDS[info.state]}" if alive and info.pid else "none"}
    if info.started:
        labelled["Started"] = _moment(info.started, now)
    restarts = facts.restarts.get(program, 0)
    labelled["Restarts"] = f"{restarts} since its settings last changed"
    labelled["Last probe"] = _probe(facts, component, program) if alive else "not asked: no process runs"
    ended = info.stopped and f"{_ending(info, daemon_log)}, {_moment(info.stopped, now)}"
    labelled["Last exit"] = ended or "no exit recorded"
    if info.spawn_error and not alive:
        labelled["Supervisor says"] = info.spawn_error
    return labelled


def _probe(facts: RawState, component: str, program: str) -> str:
    """What was asked, what came back, and when."""
    if component == API_SERVER:
        asked, came = "GET /api/v2/monitor/health", _api_answer(facts)
    elif component == REDIS:
        asked = "CLIENT LIST of this Redis"
        came = (
            "no answer" if facts.redis_clients is None else f"workers that listen: {len(facts.redis_clients)}"
        )
    elif component in JOB_TYPES:
        asked, came = (
            f"newest {JOB_TYPES[component]} heartbeat in Airflow's database",
            _heartbeat(facts, component),
        )
    else:
        asked = "whether it listens to the Deployment's Redis"
        connected = facts.redis_clients
        came = "Redis did not answer" if connected is None else "yes" if program in connected else "no"
    return f"{asked}: {came} ({facts.now:%H:%M:%S} UTC)"


def _api_answer(facts: RawState) -> str:
    if facts.api is None:
        return "no answer"
    if facts.api.problem:
        return facts.api.problem
    return f"HTTP 200, metadata database {'healthy' if facts.api.healthy else 'unhealthy'}"


def _heartbeat(facts: RawState, component: str) -> str:
    if facts.heartbeats is None:
        return "the database did not answer"
    latest = [h.latest for h in facts.heartbeats if h.job_type == JOB_TYPES[component]]
    return f"{(facts.now - max(latest)).total_seconds():.0f} s old" if latest else "none in two minutes"


def _ending(info: ProcessInfo, daemon_log: Path) -> str:
    """How the process last ended: "exit status 1", "terminated by SIGKILL"."""
    message = set()
    for line in probe.tail(daemon_log, 1000):
        at, rest = split_time(line, zone=None)
        ended = ENDED.search(rest)
        # The daemon names no Deployment: the second in which it ended shows which one it was.
        if at and ended and ended["program"] == info.name and abs(at.timestamp() - info.stopped) <= 1.5:
            message.add(ended["how"])
    if len(message) == 1:
        return message.pop()
    if info.exit_status > 0:
        return f"exit status {info.exit_status}"
    return "ended by a signal" if info.exit_status < 0 else "ended"


def _moment(seconds: int, now: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC ({rough(now - seconds)} ago)"
