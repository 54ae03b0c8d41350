"""Messages to workers: passes wait apart from everything else, so that neither keeps the other waiting."""

from uuid import uuid4

from kombu import Consumer, Queue

from console import processes
from console.celery import app
from console.kit import enqueue
from deployments import enqueue as of_deployments

(TAKEN,) = (
    argument.partition("=")[2].split(",") for argument in processes.WORKER if argument.startswith("--queues=")
)


def test_a_worker_takes_from_every_queue_that_something_is_sent_to():
    routed = {route["queue"] for route in app.conf.task_routes.values()}
    assert {app.conf.task_default_queue, *routed} == set(TAKEN)


def test_every_task_that_is_routed_exists():
    app.loader.import_default_modules()
    assert set(app.conf.task_routes) <= set(app.tasks)


def test_one_sweep_behind_a_crowd_of_passes_is_among_the_first_that_a_worker_takes():
    mark = uuid4().hex
    names = [f"{name}-{mark}" for name in TAKEN]
    sweeps, passes = names
    taken: list[str] = []
    with app.connection_for_write() as connection:
        channel = connection.channel()
        try:
            for _ in range(40):
                app.send_task("a.pass", queue=passes)
            app.send_task("a.sweep", queue=sweeps)

            def take(_body, message) -> None:
                taken.append(message.headers["task"])
                message.ack()

            queues = [Queue(name, routing_key=name) for name in names]
            with Consumer(channel, queues, callbacks=[take], prefetch_count=1, accept=["json"]):
                while len(taken) < 3:
                    connection.drain_events(timeout=10)
        finally:
            for name in names:
                channel.client.delete(name)
    assert "a.sweep" in taken


def test_what_waits_in_a_queue_is_counted():
    name = f"counted-{uuid4().hex}"
    assert enqueue.waiting(name) == 0
    try:
        for number in (1, 2):
            app.send_task("a.pass", queue=name)
            assert enqueue.waiting(name) == number
    finally:
        with app.connection_for_write() as connection:
            connection.channel().client.delete(name)


def test_messages_about_deployments_wait_where_they_are_counted():
    assert app.conf.task_routes[of_deployments.RECONCILE] == {"queue": of_deployments.PASSES}
