"""What packages of Deployments leave behind on this machine over the months: not more than is of use."""

import os
import sys
from pathlib import Path

import pytest

from deployments.dataplane.local.packages import claims, install, uv_run
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.tests.dataplane.local.test_parts import paths  # noqa: F401 - fixtures

NAME = "3.3-1-0123456789abcdef"


class Quiet:
    """supervisord as it was started again: it knows no job, and refuses to forget none."""

    def __init__(self) -> None:
        self.removed: set[str] = set()

    def processes(self) -> list[object]:
        return []

    def remove(self, group: str) -> bool:
        self.removed.add(group)
        return True


@pytest.fixture
def cache(paths: StateDir, monkeypatch) -> Path:  # noqa: F811
    """uv's cache with one package that an environment has, and one that none has any more."""
    for name in ("UV_CACHE_DIR", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    made = paths.runtimes / "cache"
    for name in ("used", "unused"):
        (made / "archive-v0" / name).mkdir(parents=True)
        (made / "archive-v0" / name / "file.py").write_text("#" * 100_000)
    site = paths.runtime(NAME) / "env-1"
    site.mkdir(parents=True)
    os.link(made / "archive-v0" / "used" / "file.py", site / "file.py")
    return made


def test_a_cache_of_what_no_environment_has_any_more_is_emptied(paths, cache, monkeypatch):  # noqa: F811
    assert not uv_run.trim_cache(paths)
    monkeypatch.setattr(uv_run, "MOST_UNUSED", 80_000)
    assert uv_run.trim_cache(paths)
    assert not list(cache.glob("archive-v0/*"))
    assert (paths.runtime(NAME) / "env-1" / "file.py").stat().st_size == 100_000


def test_what_environments_have_does_not_count(paths, cache, monkeypatch):  # noqa: F811
    (cache / "archive-v0" / "unused" / "file.py").unlink()
    monkeypatch.setattr(uv_run, "MOST_UNUSED", 80_000)
    assert not uv_run.trim_cache(paths)


@pytest.mark.parametrize("name", ["UV_CACHE_DIR", "UV_OFFLINE"])
def test_a_cache_of_another_or_one_that_cannot_be_filled_again_is_kept(paths, cache, monkeypatch, name):  # noqa: F811
    monkeypatch.setattr(uv_run, "MOST_UNUSED", 0)
    monkeypatch.setenv(name, str(paths.root / "theirs"))
    assert not uv_run.trim_cache(paths)
    assert (cache / "archive-v0" / "unused").exists()


def test_logs_go_with_what_they_are_of(paths):  # noqa: F811
    paths.runtime(NAME).mkdir()
    (paths.runtimes / "resolved" / "aaaa").mkdir(parents=True)
    other = NAME.replace("0123", "fedc")
    kept = {
        f"packages-{NAME}.log",
        f"warm-{NAME}.log.1",
        "resolve-aaaa.log",
        "web.log",
        "warm-3.3-1.log",
        "x.log",
    }
    gone = {f"packages-{other}.log", f"warm-{other}.log", f"warm-{other}.log.1", "resolve-bbbb.log"}
    for name in kept | gone:
        (paths.logs / name).touch()
    for digest in ("0123456789abcdef",):
        folder = paths.deployment("calm-orbit-0012")
        folder.mkdir()
        claims.claim(paths, folder.name, digest)
    supervisor = Quiet()
    claims.sweep(paths, supervisor)  # type: ignore[arg-type]
    assert {file.name for file in paths.logs.iterdir()} == kept
    assert supervisor.removed == {f"packages-{other}", f"warm-{other}", "resolve-bbbb"}


def test_an_environment_is_compiled_for_whoever_runs_it_and_the_cache_trimmed(paths, monkeypatch):  # noqa: F811
    site = paths.runtime(NAME) / "site"

    def clone(_: Path, attempt: Path) -> None:
        (attempt / "bin").mkdir(parents=True)
        (attempt / "bin" / "python").symlink_to(sys.executable)
        site.mkdir()

    def installed(*_: object) -> None:
        (site / "thing").mkdir(exist_ok=True)
        (site / "thing" / "__init__.py").write_text("X = 1\n")
        (site / "thing" / "__init__.py").chmod(0o644)  # as `let_everybody_read` leaves it

    monkeypatch.setattr(install, "clone", clone)
    monkeypatch.setattr(install, "_site_packages", lambda _: site)
    monkeypatch.setattr(install, "_run", installed)
    trimmed: list[StateDir] = []
    monkeypatch.setattr(install, "trim_cache", trimmed.append)
    paths.runtime(NAME).mkdir()
    before = os.umask(0o077)
    try:
        install._install(paths, NAME, paths.runtime(NAME))
    finally:
        os.umask(before)
    assert runtimes.installed(paths, NAME)
    assert trimmed == [paths]
    (compiled,) = (site / "thing").glob("__pycache__/*.pyc")
    assert compiled.stat().st_mode & 0o444 == 0o444
    assert compiled.parent.stat().st_mode & 0o555 == 0o555
