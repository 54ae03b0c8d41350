"""How the Airflows of this machine sign people in: the auth manager's files and settings, and the list of who may come
in, which the API server reads."""

import json
from importlib.resources import files as files_of
from pathlib import Path

from console.kit.files import write_private
from deployments.domain.spec import Secrets

CLASS = "airdeck_auth_manager.AirdeckAuthManager"
MODULES = {
    "airdeck_sign_in.py": files_of("deployments.dataplane").joinpath("airflow_sign_in.py").read_text(),
    "airdeck_auth_manager.py": files_of("deployments.dataplane")
    .joinpath("airflow_auth_manager.py")
    .read_text(),
}


def people_file(folder: Path) -> Path:
    """Where the Airflow of a Deployment's folder reads who may come in."""
    return folder / "secrets" / "people"


def password_file(folder: Path) -> Path:
    """The password of last resort."""
    return folder / "secrets" / "passwords.json"


def settings(
    release_name: str, secrets: Secrets, folder: Path, console_urls: str, *, takes_password: bool
) -> dict[str, dict[str, str]]:
    """Airflow's settings, by section: the auth manager, and what it needs to know."""
    own = {
        "RELEASE": release_name,
        "CONSOLE": console_urls,
        "SIGN_IN_KEY": secrets.sign_in_key,
        "PEOPLE": str(people_file(folder)),
    }
    if takes_password:
        own["PASSWORD_FILE"] = str(password_file(folder))
    return {"CORE": {"AUTH_MANAGER": CLASS}, "AIRDECK": own}


def files(secrets: Secrets, folder: Path, modules: Path, *, takes_password: bool) -> dict[Path, str]:
    """What the API server reads, by path; `modules` is on its module path."""
    found = {modules / name: text for name, text in MODULES.items()}
    if takes_password:
        found[password_file(folder)] = json.dumps({"admin": secrets.admin_password}) + "\n"
    return found


def admit(folder: Path, people: str, group: int | None) -> bool:
    """Put the list there, readable for the `group` that runs the Airflow, if it has one of its own; False while the
    Deployment has no folder for it."""
    file = people_file(folder)
    if not file.parent.is_dir():
        return False
    if group is None:
        write_private(file, people)
    else:
        write_private(file, people, mode=0o640, group=group)
    return True


def is_in(spec_file: Path) -> bool:
    """Whether the API server is started with the auth manager: what was written down for it last."""
    try:
        return CLASS in spec_file.read_text()
    except OSError:
        return False
