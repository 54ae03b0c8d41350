"""What people call the components of an Airflow. Pure."""

TITLES = {
    "api-server": "API server",
    "scheduler": "Scheduler",
    "dag-processor": "DAG processor",
    "triggerer": "Triggerer",
    "redis": "Redis",
    "code-server": "Code server",
}
_WORKERS = "worker-"


def title(component: str) -> str:
    """One of it, at the head of a sentence: "worker-default" is the "Worker of queue default". An unknown component
    keeps its name."""
    if component.startswith(_WORKERS):
        return f"Worker of queue {component.removeprefix(_WORKERS)}"
    return TITLES.get(component, component)


def within(component: str) -> str:
    """The same in the middle of a sentence: "API server", "scheduler"."""
    words = title(component)
    return words if words.split(" ")[0].isupper() else words[:1].lower() + words[1:]


def heading(component: str) -> str:
    """All of it, as a table lists it: "worker-default" are the "Workers of queue default"."""
    if component.startswith(_WORKERS):
        return f"Workers of queue {component.removeprefix(_WORKERS)}"
    return TITLES.get(component, component.capitalize())
