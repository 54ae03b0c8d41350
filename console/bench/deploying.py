"""Row "deploy": press Deploy to the DAG known to Airflow, against copying the same files by hand; and what a deploy of
20,000 files costs the console's processes."""

import io
import os
import re
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.embedded import postgres
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.postgres import databases

REPEATS = 7  # where the interval of the DAG processor stands when it begins is luck
FILES, FILE_BYTES = 41, 25_600  # 1 MiB
MUST = 1.5
MANY, MANY_BYTES = 19_999, 5_000  # 95 MiB that do not compress, and a DAG
MUST_MIB = 64.0
BY_HAND = "Bench by hand"
LIMIT_SECONDS = 120.0
DEPLOY_SECONDS = 600.0
POLL_SECONDS = 0.1
DAG = "from airflow.sdk import DAG\n\nwith DAG({name!r}, schedule=None):\n    pass\n"
METHOD = (
    f"Two Healthy Deployments, {REPEATS} times in turn: {FILES} files of 1 MiB in all, one of them a DAG that is new, "
    "are copied into the DAGs folder of the one; the same are uploaded to the other, and the button of the review is "
    "pressed. Counted is until the metadatabase, from which Airflow's API answers, names the DAG, asked ten times "
    f"a second. Then an archive of {MANY + 1:,} files, 95 MiB packed, is uploaded and deployed, while the memory (RSS) "
    "of web and of the worker and its children is looked at twenty times a second."
)


def measure(at: Installation) -> Result:
    """Both sides in turn, then the large one."""
    release = airflow.ensure_healthy(at)
    other = at.create_deployment(BY_HAND, executor="local")
    at.wait_status(other, "Healthy", airflow.FIRST_SECONDS)
    by_hand: list[float] = []
    deployed: list[float] = []
    for number in range(REPEATS):
        by_hand.append(_by_hand(at, other, f"by_hand_{number}"))
        deployed.append(_deployed(at, release, f"deployed_{number}"))
    at.delete_deployment(other, BY_HAND)
    at.wait_status(other, "Deleted")
    grown, taken = _large(at, release)
    ratio = median(deployed) / median(by_hand)
    worst = max(grown.values())
    return Result(
        (
            Figure(
                f"Press Deploy ({FILES} files, 1 MiB) to the DAG known to Airflow, against copying the files by hand",
                f"at most {MUST:.1f}",
                f"{ratio:.2f} ({median(deployed):.1f} s against {median(by_hand):.1f} s)",
                ratio <= MUST,
            ),
            Figure(
                f"Deploy of {MANY + 1:,} files, 95 MiB packed: more memory of any of the console's processes",
                f"at most {MUST_MIB:.0f} MiB",
                f"{worst:.0f} MiB",
                worst <= MUST_MIB,
            ),
        ),
        METHOD,
        (
            f"Deploying took {each(deployed, 's')}, copying {each(by_hand, 's')}.",
            "More memory at the most, in MiB: "
            + ", ".join(f"{n} {mib:.0f}" for n, mib in grown.items())
            + ".",
            f"The large deploy was active {taken:.0f} s after its upload began.",
        ),
    )


def _files(name: str) -> dict[str, bytes]:
    files = {f"data/{number:02d}.csv": os.urandom(FILE_BYTES) for number in range(FILES - 1)}
    return {f"{name}.py": DAG.format(name=name).encode(), **files}


def _packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _by_hand(at: Installation, release: str, name: str) -> float:
    files = _files(name)
    folder = at.state.deployment(release) / "dags"
    begun = time.monotonic()
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    return _known(at, release, name, begun)


def _deployed(at: Installation, release: str, name: str) -> float:
    review = _upload(at, release, _packed(_files(name)))
    action, fields = at.filled(review, {})
    begun = time.monotonic()
    answer = at.client.post(action, data=fields, headers={"Origin": at.url})
    assert answer.status_code == 303, answer.text
    return _known(at, release, name, begun)


def _upload(at: Installation, release: str, archive: bytes) -> str:
    """The path of the review."""
    path = f"/deployments/{release}/deploys/new/"
    action, fields = at.filled(path, {})
    fields.pop("archive", None)
    answer = at.client.post(
        action,
        data=fields,
        files={"archive": ("code.tar.gz", archive)},
        headers={"Origin": at.url},
        timeout=DEPLOY_SECONDS,
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def _known(at: Installation, release: str, name: str, begun: float) -> float:
    database = databases.database_name(release)
    with databases.connect(postgres.url(at.state, "postgres"), database=database) as connection:
        wait_until(
            lambda: bool(connection.execute("SELECT 1 FROM dag WHERE dag_id = %s", [name]).fetchall()),
            LIMIT_SECONDS,
            lambda: at.story(release),
            POLL_SECONDS,
        )
    return time.monotonic() - begun


def _large(at: Installation, release: str) -> tuple[dict[str, float], float]:
    """How much every process grew at the most, in MiB, and the seconds until it was active."""
    archive = _packed(
        {"large.py": DAG.format(name="large").encode()}
        | {f"data/{number % 100:02d}/{number}.bin": os.urandom(MANY_BYTES) for number in range(MANY)}
    )
    begun = time.monotonic()
    with _peaks(at) as grown:
        review = _upload(at, release, archive)
        action, fields = at.filled(review, {})
        answer = at.client.post(action, data=fields, headers={"Origin": at.url}, timeout=DEPLOY_SECONDS)
        assert answer.status_code == 303, answer.text
        number = int(re.findall(r"/deploys/(\d+)/", answer.headers["location"])[0])
        wait_until(lambda: _active(at, release, number), DEPLOY_SECONDS, lambda: at.story(release), 0.5)
    return grown, time.monotonic() - begun


def _active(at: Installation, release: str, number: int) -> bool:
    with at.database() as rows:
        found = rows.execute(
            "SELECT y.status FROM deployments_deploy y JOIN deployments_deployment d ON d.id = y.deployment_id "
            "WHERE d.release_name = %s AND y.number = %s",
            [release, number],
        ).fetchone()
    assert found is not None
    assert found[0] != "failed", at.story(release)
    return bool(found[0] == "deployed")


@contextmanager
def _peaks(at: Installation) -> Iterator[dict[str, float]]:
    """Filled, at the end, with how much each process grew at the most."""
    processes = {"web": psutil.Process(at.pid("web")), "worker": psutil.Process(at.pid("worker"))}
    for number, child in enumerate(processes["worker"].children(recursive=True), start=1):
        processes[f"worker child {number}"] = child
    before = {name: process.memory_info().rss for name, process in processes.items()}
    peaks, done = dict(before), threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            for name, process in processes.items():
                peaks[name] = max(peaks[name], process.memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    grown: dict[str, float] = {}
    try:
        yield grown
    finally:
        done.set()
        watcher.join()
        grown.update({name: (peaks[name] - before[name]) / 2**20 for name in processes})
