"""`manage.py up`: start everything, say one address, wait, stop everything."""

import argparse
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from environs import Env

from console.embedded import keys, postgres, preflight, process_table, programs, stop
from console.embedded.errors import StartRefused
from console.embedded.preflight import StartPlan
from console.embedded.signals import Signals
from console.kit.disk import shortage
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.fence import ways
from deployments.dataplane.local.runtimes import environments
from deployments.dataplane.local.supervisor.client import Supervisor

READY_SECONDS = 120.0  # a first start on a slow disk; an ordinary one takes a few seconds
# A migration of a large database, and Postgres that replays its log after a power cut: what is cut short here begins
# again with the next start, and would never end.
PREPARING_SECONDS = 3600.0
QUIET_SECONDS = 60.0  # after which `up` says what it waits for
PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """A person asked to stop while we were still starting."""


class Broken(Exception):
    """It was up, or nearly, and cannot go on. `str()` is one sentence."""


def main(arguments: list[str]) -> int:
    """Run until stopped. Returns 0 after an ordered stop, 1 when it could not start or go on."""
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Run Airdeck on this machine. Environment: PORT (8000), STATE_DIR (.local).",
    )
    parser.parse_args(arguments)
    try:
        plan = preflight.check(os.environ, default_state=programs.BASE / ".local")
        locks = _claim(plan)
    except (StartRefused, ValueError, OSError) as error:
        print(f"Airdeck cannot start: {error}", file=sys.stderr)
        return 1
    try:
        with Signals() as signals:
            return _Run(plan, signals).run()
    finally:
        for lock in locks:
            os.close(lock)


def _claim(plan: StartPlan) -> list[int]:
    """Make the state folder ours, for as long as these descriptors are open."""
    plan.state.create()
    locks = [preflight.take_lock(plan.state), preflight.hold_run_dir(plan.state)]
    keys.ensure(plan.state, has_data=postgres.data(plan.state).exists())
    preflight.write_version(plan.state)
    return locks


class _Run:
    """One life of the embedded default."""

    def __init__(self, plan: StartPlan, signals: Signals) -> None:
        self.plan = plan
        self.state = plan.state
        self.signals = signals
        self.supervisor = Supervisor(plan.state.supervisor_socket)
        self.daemon: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start, wait, stop; whatever happens, no process is left behind."""
        code = 0
        try:
            self._recover()
            self._start()
            with suppress(OSError):  # it may go to a file on a full disk
                print(
                    f"Airdeck is ready: {self.plan.url}\n"
                    f"State is in {self.state.root}, logs in {self.state.logs}. Ctrl-C stops everything."
                    f"{_not_isolated(self.state.root, self.plan.redis_binary)}",
                    flush=True,
                )
            self._wait()
        except Stopped:
            pass
        except (Broken, DataPlaneError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"Airdeck stopped: {error}", file=sys.stderr, flush=True)
            code = 1
        finally:
            self._stop()
        return code

    def _recover(self) -> None:
        """After a crash: end the processes of this state folder and remove what they left."""
        process_table.end(self.state.root, hurry=self._asked_to_stop)
        postgres.forget_stale(self.state)
        self.state.forget_groups()
        environments.remove_all_unfinished(self.state)
        for stale in (self.state.supervisor_socket, self.state.supervisor_pid, self.state.redis_socket):
            stale.unlink(missing_ok=True)

    def _start(self) -> None:
        first = not postgres.data(self.state).exists()
        programs.configure(self.plan)
        environment = programs.environment(self.plan, os.environ)
        daemon = (
            sys.executable,
            "-m",
            "console.embedded.supervisord",
            "-c",
            str(self.state.supervisor_config),
        )
        self.daemon = _spawn(daemon, environment, self.state.logs / "supervisord.out", signal.SIGTERM)
        self._until(self._daemon_answers, "starting supervisord", self.state.logs / "supervisord.log")
        # Both import Django while Postgres starts. A later start has mostly nothing to prepare, so that web
        # is ready by then; on the first one it would only complain that there is no database.
        if not first:
            self.supervisor.start("web:web")
        if self._bootstrap(environment) or first:
            self._end_early_web()
            self.supervisor.start("web:web")
        self._until(self._page_answers, "waiting for the first page", self.state.logs / "web.log")
        # After the first page, so that it comes soon: these bring every Airflow back, which takes all cores.
        for role in stop.STEERING:
            self.supervisor.start(f"{role}:{role}")

    def _end_early_web(self) -> None:
        """It takes as long as streams that were opened already let it: longer than one call to supervisord waits."""
        self.supervisor.stop("web:web")
        self._until(self._web_has_ended, "ending the first web process", self.state.logs / "web.log")

    def _web_has_ended(self) -> bool:
        return not any(process.group == "web" and process.alive for process in self.supervisor.processes())

    def _bootstrap(self, environment: dict[str, str]) -> bool:
        """Prepare database and static files. Returns whether a running web would now hold old ones."""
        prepare = (sys.executable, str(programs.BASE / "manage.py"), "bootstrap")
        log = self.state.logs / "bootstrap.log"
        child = _spawn(prepare, environment, log, signal.SIGKILL)
        self._until(lambda: child.poll() is not None, "preparing the database", log, PREPARING_SECONDS)
        if child.returncode not in {0, programs.BOOTSTRAP_CHANGED}:
            raise Broken(f"preparing the database failed: {_last_line(log)} (see {log})")
        return child.returncode == programs.BOOTSTRAP_CHANGED

    def _wait(self) -> None:
        while not self._asked_to_stop():
            self._check_daemon()
            self.signals.wait(None)

    def _stop(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            stop.everything(self.state, self.supervisor, self.signals)
        asked = self.signals.stops
        process_table.end(self.state.root, grace=3.0, hurry=lambda: self._asked_to_stop(asked))
        if self.daemon is not None:
            self.daemon.wait()

    def _until(self, done: Callable[[], bool], what: str, log: Path, seconds: float | None = None) -> None:
        """Wait for `done`. Raises Stopped, or Broken when supervisord ends or it takes too long."""
        begun, most, quiet = time.monotonic(), seconds or READY_SECONDS, True
        while not done():
            if self._asked_to_stop():
                raise Stopped
            self._check_daemon()
            waited = time.monotonic() - begun
            if waited > most:
                raise Broken(f"{what} took longer than {most:.0f} seconds (see {log})")
            if quiet and waited > QUIET_SECONDS:
                quiet = False
                with suppress(OSError):  # it may go to a file on a full disk
                    print(f"Airdeck is still {what} (see {log}).", file=sys.stderr, flush=True)
            self.signals.wait(0.05)

    def _check_daemon(self) -> None:
        if self.daemon is None or self.daemon.poll() is not None:
            why = shortage(self.state.root)
            raise Broken(
                f"{why} The folder is {self.state.root}: make room and run `make run` again."
                if why
                else "supervisord, which runs every process, has ended; run `make run` again to recover."
            )

    def _asked_to_stop(self, already: int = 0) -> bool:
        return self.signals.stops > already

    def _daemon_answers(self) -> bool:
        """Asking also wakes supervisord, which else sleeps a second before it starts the first program."""
        try:
            return bool(self.supervisor.processes())
        except DataPlaneError:
            return False

    def _page_answers(self) -> bool:
        connection = http.client.HTTPConnection(self.plan.reached_at, self.plan.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _not_isolated(root: Path, redis: Path) -> str:
    """A line that warns, where there is something to warn of. Settings read FENCE the same way."""
    found = ways.find(root, Path(sys.executable), redis, switched_on=Env().bool("FENCE", True))
    return "" if found.whole else f"\n{found.sentence}"


def _spawn(
    argv: tuple[str, ...], environment: dict[str, str], log: Path, at_death: signal.Signals
) -> subprocess.Popen[bytes]:
    """A child in a session of its own, so that Ctrl-C reaches `up` alone. On Linux it gets `at_death` when
    `up` dies, even by KILL."""
    libc = ctypes.CDLL(None)
    tie = getattr(libc, "prctl", None)

    def tie_to_parent() -> None:
        if tie is not None:
            tie(PR_SET_PDEATHSIG, int(at_death))

    with log.open("wb") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=programs.BASE,
            start_new_session=True,
            preexec_fn=tie_to_parent,  # noqa: PLW1509 - `up` has one thread
        )


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it printed nothing"
