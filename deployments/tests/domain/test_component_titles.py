"""What people call a component: at the head of a sentence, within one, and in a table."""

import pytest

from deployments.domain.component_titles import heading, title, within


@pytest.mark.parametrize(
    ("component", "first", "later", "listed"),
    [
        ("api-server", "API server", "API server", "API server"),
        ("dag-processor", "DAG processor", "DAG processor", "DAG processor"),
        ("scheduler", "Scheduler", "scheduler", "Scheduler"),
        ("worker-default", "Worker of queue default", "worker of queue default", "Workers of queue default"),
        ("sidecar", "sidecar", "sidecar", "Sidecar"),
        ("", "", "", ""),
    ],
)
def test_a_component_has_one_name(component, first, later, listed):
    assert (title(component), within(component), heading(component)) == (first, later, listed)
