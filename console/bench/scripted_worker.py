"""`python -m console.bench.scripted_worker`: the console's worker, whose data plane is the scripted one of tests, and
slow: each call that changes something takes a while. For what is measured of the way to a pass, and not of a pass."""

import time
from collections.abc import Mapping

from console.processes import WORKER
from deployments.dataplane import registry
from deployments.dataplane.contract import ClusterConfig, Driver, Progress, Ref
from deployments.dataplane.fake import ScriptedDriver
from deployments.domain.spec import Release, Secrets

APPLY_SECONDS = 0.2
HANDS = 2  # as a worker of `make run` has


class SlowDriver(ScriptedDriver):
    """Its state is this process's, so the worker runs passes in threads."""

    def apply(self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]) -> Progress:
        """The step, and the time that a data plane would take for it."""
        time.sleep(APPLY_SECONDS)
        return super().apply(ref, release, secrets, workers)


def main() -> None:
    """Until SIGTERM."""
    driver = SlowDriver()

    def scripted(config: ClusterConfig) -> Driver:
        return driver

    registry.DRIVERS["local"] = scripted
    from console.celery import app  # only now: the driver is chosen before anything can ask for one

    app.worker_main(["--quiet", "worker", *WORKER, "--pool=threads", f"--concurrency={HANDS}"])


if __name__ == "__main__":
    main()
