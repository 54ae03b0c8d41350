"""From raw facts to components: what is ready, what is not, and why. Pure: no I/O, no clock.

Airflow's own health page reads heartbeats from its `job` table and calls a component healthy for 30 s after
it died. Here a heartbeat counts only when it was made by the process that runs now, has advanced since it
began, and is fresh; so a restarted component is not ready before it works again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployments.dataplane.contract import Component
from deployments.dataplane.local.program_names import API_SERVER, DAG_PROCESSOR, REDIS, TRIGGERER
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.postgres.airflow_metadata import Heartbeat
from deployments.dataplane.reading import HEARTBEAT_SECONDS, JOB_TYPES
from deployments.domain.component_titles import title
from deployments.domain.spec import QueueLoad
from deployments.domain.states import ComponentState

SLOW_START_SECONDS = 180.0  # a first answer later than this is a failure that a person should see
SILENT_SECONDS = 60.0  # a component that worked and fell silent is restarted after this
MANY_RESTARTS = 2  # one may be an accident; a second one is reported until the component works


@dataclass(frozen=True)
class ApiAnswer:
    """What the API server answered: `healthy` is its word on the metadata database; `problem` is "" when it
    answered 200."""

    healthy: bool
    problem: str = ""


@dataclass(frozen=True)
class RawState:
    """Everything that was asked about one Deployment in one look. None means that there was no answer."""

    now: datetime
    processes: Mapping[str, ProcessInfo]  # by program
    desired: Mapping[str, int]  # instances by component
    api: ApiAnswer | None = None
    heartbeats: tuple[Heartbeat, ...] | None = None
    redis_clients: frozenset[str] | None = None  # names of connected workers; None when Redis did not answer
    draining: frozenset[str] = frozenset()  # workers asked to finish their tasks and end
    restarts: Mapping[str, int] = field(default_factory=dict)  # by program
    last_lines: Mapping[str, str] = field(default_factory=dict)  # of programs that ended
    queues: tuple[QueueLoad, ...] = ()


@dataclass(frozen=True)
class _Verdict:
    state: ComponentState
    reason: str = ""


READY = _Verdict(ComponentState.READY)


def component_of(program: str) -> str:
    """The component to which a program belongs: "worker-default-02" -> "worker-default"."""
    head, _, tail = program.rpartition("-")
    return head if tail.isdigit() else program


def components(facts: RawState) -> tuple[Component, ...]:
    """Every component that is desired or still there, in the order in which people think of them."""
    known = {component_of(program) for program in facts.processes}
    order = [API_SERVER, "scheduler", DAG_PROCESSOR, TRIGGERER, REDIS]
    names = sorted(
        known | set(facts.desired), key=lambda n: (order.index(n) if n in order else len(order), n)
    )
    return tuple(_component(name, facts) for name in names)


def programs(component: str, facts: RawState) -> dict[str, tuple[ComponentState, str]]:
    """The state of each program of a component, and why; the sentence is empty when it is READY."""
    names = sorted(p for p in facts.processes if component_of(p) == component)
    return {p: (v.state, v.reason) for p, v in _verdicts(component, names, facts).items()}


def silent(facts: RawState) -> dict[str, float]:
    """Programs that run but do not answer, and for how many seconds that may go on before a restart is due: a
    minute for one that has worked in this life, three for one that may still be starting."""
    found: dict[str, float] = {}
    for program, info in facts.processes.items():
        name = component_of(program)
        if (
            info.state != "RUNNING"
            or program in facts.draining
            or (name in JOB_TYPES and facts.heartbeats is None)
        ):
            continue
        verdict = _from_service(name, program, info, facts, _beating(name, [program], facts))
        if verdict.state is not ComponentState.READY:
            found[program] = SILENT_SECONDS if _has_worked(name, info, facts) else SLOW_START_SECONDS
    return found


def _has_worked(name: str, info: ProcessInfo, facts: RawState) -> bool:
    """Whether the process that runs now has sent a heartbeat at all."""
    started = datetime.fromtimestamp(info.started, UTC)
    own = (h for h in facts.heartbeats or () if h.job_type == JOB_TYPES.get(name) and h.began >= started)
    return any(h.latest > h.began for h in own)


def _component(name: str, facts: RawState) -> Component:
    programs = sorted(program for program in facts.processes if component_of(program) == name)
    verdicts = _verdicts(name, programs, facts)
    desired = facts.desired.get(name, 0)
    ready = sum(verdict.state is ComponentState.READY for verdict in verdicts.values())
    program, verdict = _worst(verdicts, desired, title(name))
    failing = verdict.state is ComponentState.FAILING
    return Component(
        name=name,
        state=verdict.state,
        ready=ready,
        desired=desired,
        reason=verdict.reason,
        last_line=facts.last_lines.get(program, "") if failing else "",
        restarts=sum(facts.restarts.get(program, 0) for program in programs),
    )


def _worst(verdicts: Mapping[str, _Verdict], desired: int, name: str) -> tuple[str, _Verdict]:
    """The program that decides, and what it decides."""
    for state in (ComponentState.FAILING, ComponentState.STARTING):
        for program, verdict in verdicts.items():
            if verdict.state is state:
                return program, verdict
    alive = [p for p, v in verdicts.items() if v.state is ComponentState.READY]
    if len(alive) < desired:
        state = ComponentState.STARTING if verdicts else ComponentState.ABSENT
        return "", _Verdict(state, f"{name}: {len(alive)} of {desired} run.")
    stopping = [p for p, v in verdicts.items() if v.state is ComponentState.STOPPING]
    if stopping and not alive and not desired:
        return stopping[0], verdicts[stopping[0]]
    return "", READY


def _verdicts(name: str, programs: list[str], facts: RawState) -> dict[str, _Verdict]:
    beating = _beating(name, programs, facts)
    verdicts: dict[str, _Verdict] = {}
    for program in programs:
        info = facts.processes[program]
        verdict = _from_process(name, info, draining=program in facts.draining)
        if verdict is None:
            verdict = _from_service(name, program, info, facts, beating)
        verdicts[program] = verdict
    return verdicts


def _from_process(name: str, info: ProcessInfo, *, draining: bool) -> _Verdict | None:
    """What supervisord says of it; None when it runs, so that the service itself must be asked."""
    message = title(name)
    if info.state == "STOPPING" or (draining and info.alive):
        return _Verdict(ComponentState.STOPPING, f"{message} finishes what it does and ends.")
    if draining or info.state == "STOPPED":
        return _Verdict(ComponentState.STOPPING, f"{message} has ended.")
    if info.state == "FATAL":
        return _Verdict(ComponentState.FAILING, f"{message} keeps ending right after it starts.")
    if info.state == "BACKOFF":
        return _Verdict(
            ComponentState.FAILING, f"{message} ended right after it started, and is being restarted."
        )
    if info.state == "EXITED":
        how = f"exit status {info.exit_status}" if info.exit_status >= 0 else "ended by a signal"
        return _Verdict(ComponentState.FAILING, f"{message} ended ({how}).")
    return None


def _from_service(
    name: str, program: str, info: ProcessInfo, facts: RawState, beating: frozenset[str]
) -> _Verdict:
    """What the service itself says, when its process runs."""
    missing = ""
    if name == API_SERVER:
        if facts.api is not None and (facts.api.problem or not facts.api.healthy):
            return _Verdict(ComponentState.FAILING, _api_problem(facts.api))
        missing = "waiting for its first answer" if facts.api is None else ""
    elif name == REDIS:
        missing = "waiting for its answer" if facts.redis_clients is None else ""
    elif name.startswith("worker-"):
        missing = "waiting for it to accept tasks" if program not in (facts.redis_clients or ()) else ""
    else:
        missing = "waiting for its heartbeat" if program not in beating else ""
    return _waiting(title(name), info, missing, facts.restarts.get(program, 0)) if missing else READY


def _api_problem(answer: ApiAnswer) -> str:
    message = title(API_SERVER)
    return (
        f"{message} answers {answer.problem}." if answer.problem else f"{message} cannot reach its database."
    )


def _waiting(message: str, info: ProcessInfo, what: str, restarts: int) -> _Verdict:
    """Starting at first; failing when it has ended before, or has been silent for too long."""
    silent = info.now - info.started
    if restarts >= MANY_RESTARTS:
        return _Verdict(ComponentState.FAILING, f"{message} has crashed and restarted {restarts} times.")
    if silent <= SLOW_START_SECONDS:
        return _Verdict(ComponentState.STARTING, f"{message}: {what}.")
    return _Verdict(
        ComponentState.FAILING,
        f"{message} is running but has not responded for {silent // 60} minutes: {what}.",
    )


def _beating(name: str, programs: Iterable[str], facts: RawState) -> frozenset[str]:
    """The programs of this component whose heartbeat is their own, advanced and fresh.

    The job table does not say which process made a row, so each process takes one row that began after it
    did, youngest first.
    """
    job_type = JOB_TYPES.get(name)
    rows = [h for h in facts.heartbeats or () if h.job_type == job_type and _fresh(h, facts.now)]
    rows.sort(key=lambda row: row.began, reverse=True)
    found: set[str] = set()
    for program in sorted(programs, key=lambda p: facts.processes[p].started, reverse=True):
        started = datetime.fromtimestamp(facts.processes[program].started, UTC)
        if rows and rows[0].began >= started:
            rows.pop(0)
            found.add(program)
    return frozenset(found)


def _fresh(heartbeat: Heartbeat, now: datetime) -> bool:
    age = (now - heartbeat.latest).total_seconds()
    return age <= HEARTBEAT_SECONDS and heartbeat.latest > heartbeat.began
