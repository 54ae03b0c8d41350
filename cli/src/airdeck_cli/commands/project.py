"""airdeck init: a project with a DAG that runs."""

from pathlib import Path

import click

from airdeck_cli.errors import CONFLICT, CliError

FILES = {
    "dags/hello.py": '''"""A first DAG: two tasks, once a day. Replace it with yours."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False, tags=["example"])
def hello():
    """Make a greeting, then print it."""

    @task
    def make() -> str:
        return "Hello from Airdeck"

    @task
    def say(greeting: str) -> None:
        print(greeting)

    say(make())


hello()
''',
    ".airdeckignore": """# What is not deployed, with the patterns of .gitignore. Always left out: .git, caches, virtual
# environments, .env files.
*.ipynb
tests/
""",
    ".gitignore": """.env
.venv/
__pycache__/
""",
    "README.md": """# An Airflow project

`dags/` is what is deployed; its root is where modules are imported from.

    airdeck deploy -d NAME --wait
""",
}


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Begin a project in FOLDER with a DAG that runs. No file that is there is touched."""
    there = [name for name in FILES if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise CliError(
            f"{', '.join(there)} is there already. Nothing was written; choose another folder.", CONFLICT
        )
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"+ {path}")
    click.echo(f"Deploy it with: airdeck deploy {folder} -d NAME --wait")
