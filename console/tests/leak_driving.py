"""Sets every marked value, and asks for every kind of change, as people do it: through the pages."""

import re

from console.tests.forms import posted_forms
from console.tests.leaks import as_text
from deployments import tasks
from deployments.actions.variables import latest_revision
from deployments.models import Deployment
from deployments.reconciler.reconcile import reconcile
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle

PLAIN = "plainmark31337"  # must be found: what finds nothing proves nothing
# Letters and digits alone: URL, HTML and JSON spell them as they are, whatever stands around.
SECRETS = {
    way: f"canary{number}x{way}q7f3"
    for number, way in enumerate(
        (
            *(
                "added",
                "replaced",
                "refused",
                "imported",
                "waiting",
                "raised",
                "deleted",
                "mistyped",
                "crashed",
            ),
            *("programmed", "unprogrammed", "hooked"),
            *("followed", "connected", "mispasted", "posted", "misposted", "pulled", "mispulled"),
        )
    )
}
# What people type that is no secret: pages show it, rows and their audit keep it, and no data plane gets it.
TYPED = {field: f"typed{field}k5w2" for field in ("name", "description")}
QUEUE = "typedqueuek5w2"  # a data plane gets this one: Celery is told of it
# What was refused goes back to whoever typed it, and stays nowhere.
REFUSED = {
    field: f"nonsense{field}k5w2"
    for field in ("size", "queue", "type", "queuename", "cron", "zone", "runtime", "workspace")
}
WORKERS = {"worker_type": "A10", "min_workers": "0", "max_workers": "3", "concurrency": "4"}


class Person:
    """Somebody at a Deployment's pages; all that they are answered is collected."""

    def __init__(self, client, url, collector) -> None:
        self.client, self.url, self.collector = client, url, collector

    def keep(self, name, response):
        self.collector.add(f"response to driving {name}", as_text(response))
        return response

    def post(self, name, data, *more, status=303):
        response = self.keep(name, self.client.post(self.url(name, *more), data))
        assert response.status_code == status, (name, response.status_code)
        return response

    def form(self, name, *more) -> dict[str, str]:
        """The fields that the page shows, with the values in them."""
        return reviewed(self.keep(name, self.client.get(self.url(name, *more))))

    def save(self, name, /, *more, **changes) -> None:
        """Fill in the page's form, and apply what its review shows."""
        review = self.post(name, {**self.form(name, *more), **changes}, *more, status=200)
        self.post(name, reviewed(review), *more)


def reviewed(response) -> dict[str, str]:
    return next(fields for _, fields in posted_forms(response.content.decode()) if "shown" in fields)


def set_variables(bob: Person, deployment) -> str:
    """Every marked value, in every way; the address of the import that still waits."""

    def seen(key):
        return deployment.variables.get(key=key).updated_at.isoformat()

    def applied(text, *, apply=True):
        address = bob.client.post(bob.url("variables_import"), {"text": text, "secret": "on"})["Location"]
        page = bob.keep("an import", bob.client.get(address))
        base = re.search(r'name="base" value="(\d+)"', page.content.decode())[1]
        if apply:
            bob.keep("an import", bob.client.post(address, {"base": base}))
        return address

    on, mistyped = {"secret": "on"}, SECRETS["mistyped"]
    bob.post("variable_new", {"key": "PLAIN", "value": PLAIN})
    bob.post("variable_new", {"key": "TOKEN", "value": SECRETS["added"], **on})
    bob.post("variable_edit", {"value": SECRETS["replaced"], "seen": seen("TOKEN")}, "TOKEN")
    wrong = {"value": f"{SECRETS['refused']}\x07", "seen": seen("TOKEN")}
    bob.post("variable_edit", wrong, "TOKEN", status=422)
    bob.post("variable_new", {"key": "NOT-A-KEY", "value": mistyped, **on}, status=422)
    bob.post("variable_new", {"key": "GONE", "value": SECRETS["deleted"], **on})
    bob.post("variables_delete", {"key": "GONE"}, status=409)
    bob.post("variables_delete", {"key": "GONE", "base": latest_revision(deployment)})
    bob.post("variable_edit", {"value": mistyped, "seen": "x"}, "GONE", status=422)
    applied(
        f"IMPORTED={SECRETS['imported']}\nPATH={mistyped}\n{mistyped}\nA-B={mistyped}\nTOKEN='{mistyped}' x\n"
    )
    return applied(f"WAITING={SECRETS['waiting']}\n", apply=False)


def set_by_program(client, deployment, collector) -> None:
    """The same through the API, where values go in and what is wrong comes back."""
    where = f"/api/v1/deployments/{deployment.release_name}/variables"

    def put(path, document, status):
        response = client.put(f"{where}{path}", document, content_type="application/json")
        collector.add("response to a program", as_text(response))
        assert response.status_code == status, (path, response.content)

    wrong = SECRETS["unprogrammed"]
    put("/BY_PROGRAM", {"value": SECRETS["unprogrammed"], "secret": True}, 202)
    put("/BY_PROGRAM", {"value": SECRETS["programmed"]}, 202)
    put("/BY_PROGRAM", {"value": f"{wrong}\x07"}, 422)
    put("/PATH", {"value": wrong, "secret": True}, 422)
    items = [
        {"key": "NOT-A-KEY", "value": wrong, "secret": True},
        {"key": "X", "value": wrong, "colour": wrong},
    ]
    put("", {"items": items}, 422)
    collector.add("response to a program", as_text(client.get(where)))


def follow_a_branch(bob: Person, client, deployment) -> None:
    """A Git source with a token: from its page, and replaced by a program."""
    where = f"/api/v1/deployments/{deployment.release_name}/git-source"
    address = f"https://git.example.org/{PLAIN}.git"
    typed = {"address": address, "branch": "main", "token_user": "git", "automatic": "on"}
    bob.post("git_edit", {**typed, "branch": "a b", "token": SECRETS["mispasted"]}, status=422)
    bob.post("git_edit", {**typed, "token": SECRETS["followed"]})

    def ask(method, path, document, status):
        response = getattr(client, method)(f"{where}{path}", document, content_type="application/json")
        bob.keep("a Git source by a program", response)
        assert response.status_code == status, (path, response.content)

    wrong = SECRETS["mispasted"]
    ask("patch", "", {"branch": "a b", "token": wrong}, 422)
    ask("patch", "", {"token": f"{wrong} {wrong}"}, 422)
    ask("put", "", {"address": f"https://me:{wrong}@git.example.org/a", "colour": wrong}, 422)
    ask("put", "", {"address": f"https://me:{wrong}@git.example.org/a", "token": wrong}, 422)
    ask("put", "", {"address": address, "token": SECRETS["connected"]}, 200)
    ask("post", "/deploy", {}, 202)


def log_in_to_a_registry(client, deployment, driver, collector) -> None:
    """The login with which images are pulled, by a program; first where there are none."""
    where = f"/api/v1/deployments/{deployment.release_name}/registry-login"
    right = {"host": "registry.example.org", "user": PLAIN, "password": SECRETS["pulled"]}
    wrong = {**right, "password": SECRETS["mispulled"]}
    for takes_images, document, status in (
        (False, wrong, 409),
        (True, {**wrong, "host": "no host!", "colour": wrong["password"]}, 422),
        (True, {**wrong, "password": f"{wrong['password']}\x07"}, 422),
        (True, right, 200),
    ):
        driver.takes_images = takes_images
        response = client.put(where, document, content_type="application/json")
        collector.add("response to a program", as_text(response))
        assert response.status_code == status, (document["host"], response.content)
    driver.takes_images = False


def make_a_channel(client, workspace, collector) -> str:
    """A webhook for alerts, by a program; its secret, which its own answer holds on purpose."""
    where = f"/api/v1/workspaces/{workspace.pk}/alert-channels"

    def ask(method, path, document, status):
        response = getattr(client, method)(f"{where}{path}", document, content_type="application/json")
        assert response.status_code == status, (path, response.content)
        return response

    hook, wrong = (f"https://hooks.example/{SECRETS[way]}" for way in ("posted", "misposted"))
    made = ask("post", "", {"kind": "webhook", "name": PLAIN, "url": wrong}, 201).json()
    one = f"/{made['channel']['id']}"
    for method, path, document, status in (
        ("post", "", {"kind": "webhook", "name": "", "url": wrong}, 422),
        ("post", "", {"kind": "slack", "name": "S", "url": wrong.replace("https", "http")}, 422),
        ("patch", one, {"url": hook, "colour": wrong}, 422),
        ("patch", one, {"url": hook}, 200),
        ("post", f"{one}/test", {}, 202),
    ):
        collector.add("response to a program", as_text(ask(method, path, document, status)))
    return made["secret"]


def edit(bob: Person, deployment) -> None:
    """Its settings, and after that with a form from before."""
    before = bob.form("edit")
    bob.post("edit_summary", {**before, **TYPED, "scheduler_au": REFUSED["size"]}, status=200)
    bob.post("edit", {**before, "scheduler_au": REFUSED["size"]}, status=422)
    bob.save("edit", **TYPED, scheduler_au="6")
    bob.post("edit", {**before, "scheduler_au": "7"}, status=409)
    settle(deployment)


def change_queues(bob: Person, deployment) -> None:
    """Add, edit and delete worker queues; QUEUE stays."""
    wrong = {"name": f"{REFUSED['queue']}\n[program:x]", **WORKERS}
    bob.post("queue_new", {**bob.form("queue_new"), **wrong}, status=422)
    for name in (QUEUE, "gone"):
        bob.save("queue_new", name=name, **WORKERS)
    bob.post(
        "queue_edit", {**bob.form("queue_edit", QUEUE), "worker_type": REFUSED["type"]}, QUEUE, status=422
    )
    bob.save("queue_edit", QUEUE, concurrency="2", min_workers="1")
    bob.post("queue_delete", {"confirm": REFUSED["queuename"]}, "gone", status=422)
    bob.post("queue_delete", {"confirm": "gone"}, "gone")
    settle(deployment)


def schedule(bob: Person) -> None:
    """When it sleeps and wakes by itself."""
    page = bob.keep("schedule", bob.client.get(bob.url("schedule")))
    shown = next(fields for _, fields in posted_forms(page.content.decode()) if "hibernate_cron" in fields)
    right = {
        **shown,
        "hibernate_cron": "0 20 * * 1-5",
        "wake_cron": "0 7 * * 1-5",
        "time_zone": "Europe/Berlin",
    }
    for wrong in ({"hibernate_cron": REFUSED["cron"]}, {"time_zone": REFUSED["zone"]}):
        bob.post("schedule", {**right, **wrong}, status=422)
        bob.post("schedule_preview", {**right, **wrong}, status=200)
    bob.post("schedule_preview", right, status=200)
    bob.post("schedule", right)


def upgrade_and_sleep(bob: Person, deployment) -> None:
    """Another runtime; then sleep, and awake again."""
    bob.post("upgrade", {"runtime": REFUSED["runtime"]}, status=422)
    bob.post("upgrade", {"runtime": "3.3-1"})
    settle(deployment)
    bob.post("hibernate", {})
    settle(deployment, passes=4)
    bob.post("wake", {})
    settle(deployment)


def transfer(alice: Person, deployment, there) -> None:
    """To another Workspace, and back."""
    here = deployment.workspace
    alice.post("transfer", {"workspace": REFUSED["workspace"]}, status=422)
    for workspace in (there, here):
        alice.post("transfer", {"workspace": str(workspace.pk)})


def problem(bob: Person, deployment, driver, monkeypatch) -> None:
    """What the console says of a change on its way, of a data plane that is silent, and of a bug."""
    settle(deployment)
    driver.silent = "Nothing answers."
    due(deployment)
    reconcile(deployment.pk)
    driver.silent = ""
    monkeypatch.setattr(driver, "apply", explode)
    bob.post("variable_new", {"key": "LAST", "value": SECRETS["raised"], "secret": "on"})
    due(deployment)
    tasks.reconcile_task.apply(args=(str(deployment.pk),))  # as a worker runs it, and logs how it ended


def explode(ref, release, secrets, workers):
    local = dict(secrets.variables)  # what a traceback with local variables would print
    raise RuntimeError(f"Bug after reading {len(local)} variables: {secrets}")


def due(deployment) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(due_at="2026-01-01T00:00Z")


def crash(bob: Person, monkeypatch) -> None:
    """A bug while a secret is saved: the page and the log tell of it, without the secret."""

    def fail(*args, **kwargs):
        raise RuntimeError("Bug while saving.")

    bob.client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(vault, "secret_digester", fail)
        bob.post("variable_new", {"key": "CRASHED", "value": SECRETS["crashed"], "secret": "on"}, status=500)
    bob.client.raise_request_exception = True
