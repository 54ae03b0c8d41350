"""`python -m console.bench [ROW ...]`: measure, print the table, and after a full run keep it in
docs/performance.md. Takes about fifteen minutes; leave the machine alone in the meantime."""

import argparse
import importlib
import os
import sys

from console.bench import django_here, report
from console.bench.result import Result
from console.tests.system.installation import Installation

# As the table lists them: row, module.
ROWS = {
    "create": "create",
    "badge": "badge",
    "streams": "streams",
    "many-streams": "many_streams",
    "busy": "busy",
    "list": "listing",
    "commands": "commands",
    "api": "api",
    "long-poll": "polling",
    "idle": "idle",
    "restart": "restart",
    "logs": "logs",
    "edit": "editing",
    "summary": "summary",
    "pages": "pages",
    "search": "search",
    "overview": "overview",
    "alert": "alerting",
    "wake": "waking",
    "warm": "warm",
    "deploy": "deploying",
    "packages": "further_packages",
    "sign-in": "sign_in",
    "fence": "fence",
    "kubernetes": "kubernetes",
    "fleet": "fleet",
    "fair": "fair",
    "hourly": "hourly",
    "observer-metrics": "observing",
}
ORDER = (
    "create",
    "wake",
    "warm",
    "packages",
    "deploy",
    "sign-in",
    "fence",
    "idle",
    "edit",
    "alert",
    "busy",
    "restart",
    "badge",
    "streams",
    "many-streams",
    "list",
    "commands",
    "api",
    "long-poll",
    "summary",
    "pages",
    "search",
    "overview",
    "logs",
    "kubernetes",
    "fleet",
    "observer-metrics",
    "fair",
    "hourly",
)  # first those that share an Airflow


def main(arguments: list[str]) -> int:
    """Returns 0 when every figure is reached, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m console.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"any of {', '.join(ROWS)}; all by default")
    desired = parser.parse_args(arguments).rows or list(ROWS)
    if unknown := set(desired) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    load = os.getloadavg()
    with Installation() as at:
        at.sign_up()
        django_here.connect(at)
        measured = {name: _measure(name, at) for name in ORDER if name in desired}
        about = report.circumstances(at, load)
    results = {name: measured[name] for name in ROWS if name in measured}
    print("\n" + "\n".join(about))
    print("\n" + report.table(results))
    if len(results) == len(ROWS):
        report.write(results, about)
        print(f"\nWritten to {report.PAGE}.")
    return 0 if all(figure.ok for result in results.values() for figure in result.figures) else 1


def _measure(name: str, at: Installation) -> Result:
    """Modules are imported only now: some need Django, which needs the installation's database."""
    print(f"… {name}", flush=True)
    result: Result = importlib.import_module(f"console.bench.{ROWS[name]}").measure(at)
    for figure in result.figures:
        print(f"  {figure.what}: {figure.measured} ({'ok' if figure.ok else 'MISSED'}; {figure.must})")
    for line in result.details:
        print(f"  {line}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
