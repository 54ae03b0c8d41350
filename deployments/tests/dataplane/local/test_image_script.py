"""What looks at an image, run on a real Airflow: an environment of this machine stands in for the image."""

import json
import os
import subprocess
import sys
from pathlib import Path

from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests import image_check


def looked(python: Path, folder: Path, *folders: Path) -> dict[str, str]:
    message = folder / "message"
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        **image_check.ENVIRONMENT,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRDECK_MESSAGE": str(message),
    }
    command = [str(python), "-c", image_check.SCRIPT, *map(str, folders)]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=120)
    return json.loads(message.read_text())


def look_at(python: Path, airflow: str, folder: Path) -> None:
    """With our files, with one that does not import, and without Airflow."""
    files, sign_in = folder / "files", folder / "sign-in"
    for where, texts in ((files, conf.FILES), (sign_in, conf.SIGN_IN_FILES)):
        where.mkdir()
        for name, text in texts.items():
            (where / name).write_text(text)
    found = looked(python, folder, files, sign_in)
    assert (found["airflow"], found["problem"]) == (airflow, "")
    assert found["head"]
    (files / "airdeck_logging.py").write_text("import no_such_module\n")
    assert looked(python, folder, files)["problem"] == (
        "airdeck_logging.py of Airdeck cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_without_airflow_it_says_so(tmp_path):
    (tmp_path / "airflow.py").write_text("raise ImportError('no libfoo.so')\n")
    files = tmp_path / "files"
    files.mkdir()
    python = Path(sys.executable)
    message = tmp_path / "message"
    environment = {"PYTHONPATH": str(tmp_path), "AIRDECK_MESSAGE": str(message)}
    subprocess.run([python, "-c", image_check.SCRIPT, files], env=environment, check=True)
    assert (
        json.loads(message.read_text())["problem"] == "Airflow cannot be imported: ImportError: no libfoo.so"
    )
