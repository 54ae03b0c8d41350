"""The scripted data plane: a driver for tests that moves through its steps as scripted. Held to the same contract as
the real ones by deployments/tests/contract.py. It lives here so that its signatures are type-checked; nothing that
ships imports it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from deployments.dataplane.contract import (
    LOG_BEGINNING,
    UPGRADE_STEP,
    Component,
    DataPlaneError,
    DataPlaneUnreachable,
    Instance,
    LogLine,
    LogTail,
    Observation,
    Outcome,
    Progress,
    Ref,
    StepName,
    TaskCount,
    TaskLogs,
    UpgradeFailed,
    Watcher,
)
from deployments.dataplane.fake_code import ScriptedCode
from deployments.dataplane.fake_images import ScriptedImages
from deployments.dataplane.fake_packages import ScriptedPackages
from deployments.dataplane.fake_world import World
from deployments.dataplane.reading import QueueReading, Reading, Since, Usage
from deployments.domain.spec import Release, Secrets
from deployments.domain.states import ComponentState, Executor

CREATE_STEPS = (
    StepName("runtime", "Airflow environment"),
    StepName("database", "Database"),
    StepName("components", "Airflow components"),
)
UPGRADING = StepName(UPGRADE_STEP, "Upgrade the metadata database")
ASLEEP_STEP = StepName("sleep", "Stop Airflow")
DELETE_STEPS = (
    StepName("processes", "Processes"),
    StepName("database", "Database"),
    StepName("files", "Files"),
)


class ScriptedDriver:
    """Every `apply` takes one step. Tests set `fail`, `fail_migration`, `silent`, `slow_start` and `worlds[...]`, and
    read `calls`. `contract.Driver` says what holds of every method."""

    executors: tuple[Executor, ...] = (Executor.CELERY, Executor.LOCAL)
    healthy_rest = 30.0
    load_wakes = False

    def __init__(self) -> None:
        self.worlds: dict[str, World] = {}
        self.codes: dict[str, ScriptedCode] = {}
        self.package_stores: dict[str, ScriptedPackages] = {}
        self.takes_packages = True  # False: they come with the image
        self.image_checkers: dict[str, ScriptedImages] = {}
        self.takes_images = False  # as on this machine
        self.calls: list[tuple[str, str]] = []
        self.fail: dict[str, str] = {}  # step key -> the sentence of its error
        self.fail_migration = ""  # why every migration to another runtime fails
        self.silent = ""  # when set, nothing answers
        self.watching: Watcher | None = None  # what `watcher` gives; None: asked for fingerprints
        self.signs_in = True  # False: it was started by an Airdeck that signed no one in
        self.takes_code = True  # False: code comes with the image
        self.readings: dict[str, Reading] = {}  # by release name; else what `worlds` says
        self.changes_in: float | None = None  # as observations say
        self.slow_start = 0  # how many calls wait for the components to answer

    def create_steps(self, release: Release) -> tuple[StepName, ...]:
        if release.hibernating:
            return (ASLEEP_STEP,)
        runtime, base, components = CREATE_STEPS
        return (runtime, base, *([UPGRADING] if release.upgrade_from else []), components)

    def delete_steps(self) -> tuple[StepName, ...]:
        return DELETE_STEPS

    def observe(self, ref: Ref) -> Observation:
        self._answer("observe", ref)
        world = self.worlds.get(ref.release_name)
        if world is None:
            return Observation("")
        return Observation(
            world.digest(),
            world.components(),
            world.leftovers(ref),
            world.queues(),
            signs_in=self.signs_in and world.database,
            changes_in=self.changes_in,
        )

    def admit(self, ref: Ref, people: str) -> bool:
        self._answer("admit", ref)
        self._fail("admit")
        world = self.worlds.get(ref.release_name)
        if world is None:
            return False
        world.people = people
        return True

    def apply(self, ref: Ref, release: Release, secrets: Secrets, workers: Mapping[str, int]) -> Progress:
        self._answer("apply", ref)
        world = self.worlds.setdefault(ref.release_name, World())
        self._need_packages(ref, release)
        if release.code is not None:
            self.codes.setdefault(ref.release_name, ScriptedCode()).activate(release.code)
        if release.hibernating:
            return self._sleep(world, release)
        if not world.database:
            self._fail("database")
            world.database, world.runtime = True, release.runtime.version
            return Progress("database", Outcome.PROGRESSED, "Database made.")
        if world.runtime != release.runtime.version:
            return self._upgrade(world, release)
        return self._run(ref, world, release, workers)

    def _need_packages(self, ref: Ref, release: Release) -> None:
        store = self.packages(ref)
        if (
            release.packages
            and not release.hibernating
            and (store is None or release.packages not in store.installed)
        ):
            raise DataPlaneError("Its packages are not installed yet.")

    def _sleep(self, world: World, release: Release) -> Progress:
        if world.running:
            self._fail("sleep")
            world.running = world.warm = False
            return Progress("sleep", Outcome.PROGRESSED, "Ended every process.")
        world.release = release
        return Progress("sleep", Outcome.FINISHED, "Nothing of it runs.")

    def _upgrade(self, world: World, release: Release) -> Progress:
        """Stop, copy, migrate: each its own call."""
        if world.running:
            world.running = world.warm = False
            return Progress(UPGRADE_STEP, Outcome.PROGRESSED, "Stopped Airflow.")
        if world.snapshot != world.runtime:
            world.snapshot, world.kept_rows = world.runtime, world.rows
            return Progress(UPGRADE_STEP, Outcome.PROGRESSED, "Copied the metadata database.")
        if self.fail_migration:
            world.rows, world.snapshot = world.kept_rows, ""
            raise UpgradeFailed(self.fail_migration)
        world.runtime = release.runtime.version
        return Progress(UPGRADE_STEP, Outcome.PROGRESSED, "Migrated the metadata database.")

    def _run(self, ref: Ref, world: World, release: Release, workers: Mapping[str, int]) -> Progress:
        if not world.running or world.release is None or world.release.digest != release.digest:
            self._fail("components")
            restarts = (
                not world.running
                or world.release is None
                or _without_code(world.release) != _without_code(release)
            )
            world.release, world.running, world.workers = release, True, dict(workers)
            if not restarts:
                return self._run(ref, world, release, workers)
            for name in ("api-server", "scheduler"):
                self.write_log(ref, name, "[info     ] Starting", "[info     ] Started")
            return Progress("components", Outcome.PROGRESSED, "Components started.")
        if world.workers != dict(workers):
            world.workers = dict(workers)
            return Progress("components", Outcome.PROGRESSED, "Workers changed.")
        if not world.warm and self.slow_start > 0:
            self.slow_start -= 1
            return Progress("components", Outcome.WAITING, "Scheduler: waiting for its first heartbeat.")
        world.warm = True
        if world.broken:
            return Progress("components", Outcome.WAITING, next(iter(world.broken.values())).reason)
        world.snapshot = ""
        return Progress("components", Outcome.FINISHED, "All components are healthy.")

    def destroy(self, ref: Ref) -> Progress:
        self._answer("destroy", ref)
        world = self.worlds.get(ref.release_name)
        if world is None:
            return Progress("files", Outcome.FINISHED, "Nothing is left.")
        if world.running:
            self._fail("processes")
            world.running = False
            return Progress("processes", Outcome.PROGRESSED, "Stopped.")
        if world.database:
            self._fail("drop")
            world.database, world.snapshot = False, ""
            return Progress("database", Outcome.PROGRESSED, "Dropped.")
        del self.worlds[ref.release_name]
        self.codes.pop(ref.release_name, None)
        self.package_stores.pop(ref.release_name, None)
        return Progress("files", Outcome.FINISHED, "Nothing is left.")

    def fingerprint(self, refs: list[Ref]) -> dict[str, str]:
        if self.silent:
            raise DataPlaneUnreachable(self.silent)
        known = {ref: self.worlds[ref.release_name] for ref in refs if ref.release_name in self.worlds}
        return {ref.deployment_id: repr(world) for ref, world in known.items()}

    def watcher(self, may_write: Callable[[], bool]) -> Watcher | None:
        return self.watching

    def logs(self, ref: Ref, component: str, *, lines: int = 200, after: str = "") -> LogTail:
        self._answer("logs", ref)
        world = self.worlds.get(ref.release_name, World())
        written = world.lines.get(component, [])
        known = after.isascii() and after.isdecimal() and int(after) <= len(written)
        if after == LOG_BEGINNING or known:
            start = int(after) if known else 0
            end = min(len(written), start + lines)
        else:
            start, end = max(0, len(written) - lines), len(written)
        return LogTail(tuple(written[start:end]), str(end) if written else "")

    def task_logs(self, ref: Ref, *, text: str = "", most: int = 200) -> TaskLogs:
        self._answer("task_logs", ref)
        return self.worlds.get(ref.release_name, World()).task_logs.listed(text, most)

    def task_log(self, ref: Ref, path: str, *, lines: int = 200, after: str = "") -> LogTail:
        self._answer("task_log", ref)
        return self.worlds.get(ref.release_name, World()).task_logs.read(path, lines=lines, after=after)

    def inspect(self, ref: Ref, component: str) -> tuple[Instance, ...]:
        self._answer("inspect", ref)
        world = self.worlds.get(ref.release_name, World())
        facts = {"Process": "4242, running", "Last probe": "asked how it is: well", "Last exit": "none"}
        return tuple(
            Instance(f"{c.name}-1", c.state, c.reason or "Runs, and answered just now.", facts)
            for c in world.components()
            if c.name == component
        )

    def tasks(self, ref: Ref) -> TaskCount:
        loads = self.worlds[ref.release_name].loads.values() if ref.release_name in self.worlds else ()
        return TaskCount(sum(running for _, running in loads), sum(queued for queued, _ in loads))

    def reading(self, ref: Ref, since: Since | None) -> Reading:
        self._answer("reading", ref)
        self._fail("reading")
        if ref.release_name not in self.worlds or not self.worlds[ref.release_name].database:
            raise DataPlaneError("Its metadata database is not made yet.")
        loads = self.worlds[ref.release_name].loads
        quiet = Reading(
            at=datetime.now(UTC),
            heartbeats={"scheduler": 3.0},
            queues=tuple(QueueReading(name, *load) for name, load in sorted(loads.items())),
            scheduled=0,
            dags={},
            import_error_count=0,
            import_errors=(),
            runs_running=0,
            runs_queued=0,
            runs_succeeded=0,
            runs_failed=0,
            hours=(),
            failed_runs=(),
            usage=Usage(absent="The scripted data plane measures nothing."),
        )
        return self.readings.get(ref.release_name, quiet)

    def code(self, ref: Ref) -> ScriptedCode | None:
        return self.codes.setdefault(ref.release_name, ScriptedCode()) if self.takes_code else None

    def packages(self, ref: Ref) -> ScriptedPackages | None:
        stores = self.package_stores
        return stores.setdefault(ref.release_name, ScriptedPackages()) if self.takes_packages else None

    def images(self, ref: Ref) -> ScriptedImages | None:
        checkers = self.image_checkers
        return checkers.setdefault(ref.release_name, ScriptedImages()) if self.takes_images else None

    def endpoint(self, ref: Ref) -> str | None:
        world = self.worlds.get(ref.release_name)
        ready = world is not None and world.running and world.warm
        return f"http://{ref.release_name}.localhost:8000/" if ready else None

    def upkeep(self, ref: Ref) -> None:
        """There are no logs here to drop."""

    def details(self, ref: Ref) -> dict[str, str]:
        if ref.release_name in self.codes and self.codes[ref.release_name].current:
            return {}
        return {"DAGs folder": f"/srv/{ref.release_name}/dags"}

    def write_log(self, ref: Ref, component: str, *texts: str) -> None:
        """Have a component write lines, each with the present time before it unless it begins with a space."""
        now = datetime.now(UTC)
        lines = self.worlds[ref.release_name].lines.setdefault(component, [])
        lines += [
            LogLine(text, None, f"{component}-1")
            if text.startswith(" ")
            else LogLine(f"{now:%Y-%m-%dT%H:%M:%S.%fZ} {text}", now, f"{component}-1")
            for text in texts
        ]

    def break_component(self, ref: Ref, name: str, reason: str, last_line: str = "") -> None:
        """Make one component fail until `fix_component`."""
        self.worlds[ref.release_name].broken[name] = Component(
            name, ComponentState.FAILING, 0, 1, reason, last_line
        )

    def fix_component(self, ref: Ref, name: str) -> None:
        """Undo `break_component`."""
        self.worlds[ref.release_name].broken.pop(name)

    def _answer(self, call: str, ref: Ref) -> None:
        self.calls.append((call, ref.release_name))
        if self.silent:
            raise DataPlaneUnreachable(self.silent)

    def _fail(self, step: str) -> None:
        if step in self.fail:
            raise DataPlaneError(self.fail[step])


def _without_code(release: Release) -> str:
    plugins = release.code.plugins if release.code else ""
    return f"{replace(release, code=None).digest} {plugins}"
