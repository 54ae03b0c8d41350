"""What the page says on this machine, sampled four times a second through a run of faults, against what is so: no wrong
word for more than ten seconds, and none that flips."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

import httpx
import pytest

from console.tests.system.components import states, works
from console.tests.system.installation import Installation, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

SAMPLE_SECONDS = 0.25
WRONG_SECONDS = 10.0
BACK_SECONDS = 120.0  # for whatever was killed, on a machine whose cores are busy
NO_PAGE = ""  # the console itself is away: a browser says so, and no word is shown as if it were new


@pytest.fixture(scope="module")
def it(shared) -> Installation:
    """That of the main job and of deploying code, once both are done with it."""
    shared.come_back()
    return shared


@pytest.fixture(scope="module")
def release(it) -> str:
    """A Healthy Deployment: the one that is there, or a new one."""
    query = "SELECT release_name FROM deployments_deployment WHERE status = 'healthy' AND executor = 'local'"
    with it.database() as database:
        found = database.execute(query).fetchone()
    made = found[0] if found else it.create_deployment("Truth", executor="local")
    it.wait_status(made, "Healthy", 240)
    return str(made)


@dataclass
class Sampler:
    """What the page said and what was so, since `began`."""

    it: Installation
    release: str
    samples: list[tuple[float, str, bool]] = field(
        default_factory=list
    )  # when, the badge's word, whether it works

    def take(self) -> None:
        """One sample. The word is read before what is so, as a person reads an older page."""
        try:
            word = self.it.status(self.release)
        except (httpx.HTTPError, ValueError):
            word = NO_PAGE
        self.samples.append((time.monotonic(), word, works(self.it, self.release)))

    def wrong_seconds(self) -> float:
        """The longest time for which the page said what was not so."""
        longest = 0.0
        for is_wrong, run in groupby(self.samples, key=lambda sample: is_untrue(sample[1], sample[2])):
            times = [at for at, _, _ in run]
            longest = max(longest, times[-1] - times[0] if is_wrong else 0.0)
        return longest

    def words(self) -> list[str]:
        """The words shown one after the other, while the console answered."""
        return [word for word, _ in groupby(word for _, word, _ in self.samples if word != NO_PAGE)]


def is_untrue(word: str, works: bool) -> bool:
    """Whether a badge misleads. While something changes by a person's wish ("Deploying"), no word of health is said."""
    return not works if word == "Healthy" else works and word in {"Unhealthy", "Unknown"}


@contextmanager
def sampled(it: Installation, release: str) -> Iterator[Sampler]:
    """Take samples side by side with a fault, until the page is Healthy with everything at work again."""
    sampler, stop = Sampler(it, release), threading.Event()

    def run() -> None:
        while not stop.is_set():
            sampler.take()
            stop.wait(SAMPLE_SECONDS)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: bool(sampler.samples), 30)
        yield sampler
    finally:
        stop.set()
        thread.join(60)


def kill(it: Installation, name: str, release: str) -> Callable[[], None]:
    """End one program of the console, or one component of the Deployment, at once."""
    found = [
        p.pid
        for p in it.supervisor.processes()
        if p.group == name or (p.group.startswith(release) and name in p.full_name)
    ]
    assert found, name
    return lambda: os.kill(found[0], signal.SIGKILL)


@pytest.mark.parametrize(
    "name",
    ["scheduler", "dag-processor", "triggerer", "api-server", "observer", "worker", "redis", "postgres"],
)
def test_through_a_death_the_page_says_nothing_wrong_for_long_and_no_word_twice(it, release, name):
    wait_until(lambda: works(it, release), BACK_SECONDS, lambda: it.story(release), every=0.5)
    it.wait_status(release, "Healthy", BACK_SECONDS)
    end = kill(it, name, release)
    with sampled(it, release) as sampler:
        end()
        wait_until(lambda: not works(it, release) or name in {"observer", "worker", "redis"}, 10, every=0.1)
        began = time.monotonic()

        def is_over() -> bool:
            at, word, right = sampler.samples[-1]
            return at > began + 1 and word == "Healthy" and right

        wait_until(is_over, BACK_SECONDS, lambda: f"{it.story(release)} {states(it, release)}", every=0.5)
        time.sleep(3)  # a word that flips would come back now
    assert sampler.wrong_seconds() <= WRONG_SECONDS, sampler.samples
    assert sampler.words() in (["Healthy"], ["Healthy", "Unhealthy", "Healthy"]), sampler.samples
