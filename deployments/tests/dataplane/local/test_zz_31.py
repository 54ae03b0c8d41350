import os, subprocess, time, socket
from pathlib import Path
from types import SimpleNamespace
import httpx, pytest
from dataclasses import replace
from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.local import environment, sign_in
from deployments.dataplane.local.environment import Layout
from deployments.dataplane.postgres import databases
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.dataplane import sign_in_story
from deployments.tests.dataplane.contract import new_case
import psycopg

pytestmark = pytest.mark.timeout(900)


def test_31(tmp_path):
    case = new_case(Executor.LOCAL, runtime=RuntimeSpec("3.1-1", "3.1.8"))
    admin = postgres.url(STATE, "postgres")
    with psycopg.connect(admin, autocommit=True) as c:
        c.execute("CREATE DATABASE air31")
    url = postgres.url(STATE, "air31")
    with socket.create_server(("127.0.0.1", 0)) as l:
        port = l.getsockname()[1]
    folder = tmp_path / "deployments" / case.ref.release_name
    py = Path(os.environ["PY31"])
    lay = Layout(
        state_dir=tmp_path,
        folder=folder,
        python=py,
        redis_server=Path("/x"),
        redis_socket=Path("/x"),
        port=port,
        console_port=8000,
        database_url=url,
        base={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        console_urls="http://127.0.0.1:8000",
    )
    for f, t in environment.files(case.secrets, lay).items():
        f.parent.mkdir(parents=True, exist_ok=True)
        f.write_text(t)
    for n in ("dags", "plugins", "logs"):
        (folder / n).mkdir(exist_ok=True)
    spec = environment.static_specs(case.release, case.secrets, lay)["api-server"]
    env = dict(spec.env)
    print(
        subprocess.run(
            [str(py), "-m", "airflow", "version"], env=env, cwd=spec.cwd, capture_output=True, text=True
        ).stdout[-100:]
    )
    r = subprocess.run(
        [str(py), "-m", "airflow", "db", "migrate"], env=env, cwd=spec.cwd, capture_output=True, text=True
    )
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    log = (folder / "logs" / "api-server.log").open("w")
    p = subprocess.Popen(list(spec.argv), env=env, cwd=spec.cwd, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/api/v2/version").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        driver = SimpleNamespace(admit=lambda ref, text: sign_in.admit(folder, text))
        harness = SimpleNamespace(new_driver=lambda: driver)
        try:
            sign_in_story.story(harness, case, port, folder / "logs")
        finally:
            os.system(f"tail -60 {folder}/logs/api-server.log | cut -c1-220 > /tmp/signin-31/log.txt")
    finally:
        p.terminate()
        p.wait(30)
