"""Row 5: what the console itself costs while one Deployment is Healthy."""

import time
from dataclasses import dataclass

import psutil

from console.bench import airflow
from console.bench.result import Figure, Result
from console.tests.system.installation import Installation

SETTLE_SECONDS = 20.0
SECONDS = 60.0
MUST_CPU = 3.0  # percent of one core
MUST_MIB = 500.0
OWN = ("web", "worker", "beat", "observer")

METHOD = (
    f"One Deployment (Local executor) is Healthy and no page is open. {SETTLE_SECONDS:.0f} s later, over "
    f"{SECONDS:.0f} s: user and system time (psutil) of `manage.py up`, supervisord, web, the worker with its "
    "children, beat and observer; Postgres, Redis and Airflow's processes are not counted. Memory is the sum of "
    "PSS, which counts a page shared by n processes as 1/n in each and so adds up to what is really used; the "
    "sum of RSS, which counts shared pages several times, stands beside it."
)


@dataclass(frozen=True)
class Sample:
    """The own processes at one moment."""

    cpu: dict[str, float]  # seconds used so far, by name
    pss: dict[str, float]  # MiB
    rss: dict[str, float]  # MiB


def measure(at: Installation) -> Result:
    """Two looks at the same processes."""
    airflow.ensure_healthy(at)
    time.sleep(SETTLE_SECONDS)
    processes = own_processes(at)
    before, begun = sample(processes), time.monotonic()
    time.sleep(SECONDS)
    passed = time.monotonic() - begun
    after = sample(processes)
    cpu = {name: 100 * (after.cpu[name] - before.cpu[name]) / passed for name in after.cpu}
    percent, pss, rss = sum(cpu.values()), sum(after.pss.values()), sum(after.rss.values())
    return Result(
        (
            Figure(
                "Console's own processes while one Deployment is Healthy: CPU",
                f"at most {MUST_CPU:.0f} % of one core",
                f"{percent:.1f} %",
                percent <= MUST_CPU,
            ),
            Figure(
                "The same: memory",
                f"at most {MUST_MIB:.0f} MiB",
                f"{pss:.0f} MiB PSS ({rss:.0f} MiB summed RSS)",
                pss <= MUST_MIB,
            ),
        ),
        METHOD,
        (
            "CPU by process: " + ", ".join(f"{name} {value:.2f} %" for name, value in cpu.items()) + ".",
            "PSS (RSS) by process in MiB: "
            + ", ".join(f"{name} {after.pss[name]:.0f} ({after.rss[name]:.0f})" for name in after.pss)
            + ".",
        ),
    )


def own_processes(at: Installation) -> dict[str, psutil.Process]:
    """The console's own processes by name; a worker's children are numbered."""
    assert at.up is not None
    found = {
        "up": psutil.Process(at.up.pid),
        "supervisord": psutil.Process(int(at.state.supervisor_pid.read_text())),
    }
    for group in OWN:
        process = psutil.Process(at.pid(group))
        found[group] = process
        for number, child in enumerate(process.children(recursive=True), start=1):
            found[f"{group} child {number}"] = child
    return found


def sample(processes: dict[str, psutil.Process]) -> Sample:
    """Raises psutil.NoSuchProcess when one ended: then the measurement is void."""
    cpu, pss, rss = {}, {}, {}
    for name, process in processes.items():
        times, memory = process.cpu_times(), process.memory_full_info()
        cpu[name] = times.user + times.system
        pss[name], rss[name] = memory.pss / 2**20, memory.rss / 2**20
    return Sample(cpu, pss, rss)
