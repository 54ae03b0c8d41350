"""`python -m console.bench.observer_process with|without SECONDS`: be an observer, and print its CPU seconds."""

import os
import sys
import threading
import time

import django


def main(how: str, seconds: float) -> None:
    """Run for a while to import and to look at all once, then for `seconds`. Hints nobody: no worker is to act."""
    django.setup()
    from deployments import enqueue
    from deployments.models import LatestReading
    from deployments.reconciler import observer

    enqueue.reconcile = lambda pk: True
    if how == "without":
        observer.Watch._read = lambda self, reader, stop: None  # type: ignore[method-assign]
    LatestReading.objects.all().delete()
    thread = threading.Thread(target=observer.run_forever, args=(threading.Event(),), daemon=True)
    thread.start()
    time.sleep(seconds / 2)
    before = _cpu()
    time.sleep(seconds)
    print(_cpu() - before, flush=True)
    os._exit(0)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
