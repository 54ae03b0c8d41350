"""What a new Deployment has from its first moment besides what the create form asks: further worker queues, variables,
a schedule, and whether opening its Airflow wakes it. Written in the transaction that creates it, before anything
runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.actions.hibernation import store_schedule
from deployments.actions.settings import make_queue
from deployments.actions.variables import first_variables
from deployments.clusters.options import Options
from deployments.domain import schedules
from deployments.domain.field_values import FieldValues
from deployments.domain.variables import Setting, problem_of, problem_of_all
from deployments.models import Deployment
from workspaces.models import User


@dataclass(frozen=True, repr=False)
class Furnishing:
    """`queues` by name, without the default one; variables by key; the schedule as its form has it."""

    queues: Mapping[str, FieldValues] = field(default_factory=dict)
    variables: Mapping[str, Setting] = field(default_factory=dict)
    schedule: FieldValues | None = None
    wakes_on_open: bool = False

    def problems(self, options: Options) -> dict[str, str]:
        """What breaks a limit, by section, name and field."""
        found: dict[str, str] = {}
        for name, values in self.queues.items():
            for key, sentence in options.problems({"queue": name, **values}).items():
                found[f"worker_queues.{name}.{'name' if key == 'queue' else key}"] = sentence
        for key, setting in self.variables.items():
            if problem := problem_of(key, setting):
                found[f"variables.{key}"] = problem
        if problem := problem_of_all(self.variables):
            found["variables"] = problem
        if self.schedule is not None:
            found |= {
                f"schedule.{key}": sentence for key, sentence in schedules.problems(self.schedule).items()
            }
        return found


NOTHING = Furnishing()


def furnish(row: Deployment, by: User, given: Furnishing) -> None:
    """Write it for a row that was made in this transaction. It was judged; secrets of the row exist."""
    for name, values in given.queues.items():
        make_queue(row, name, values)
    if given.variables:
        first_variables(row, by, given.variables)
    if given.schedule is not None:
        store_schedule(row, given.schedule)
    if given.wakes_on_open:
        row.wakes_on_open = True
        row.save(update_fields=["wakes_on_open"])
