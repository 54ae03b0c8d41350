"""What Git knows of a folder, for the history of deploys. A dirty tree is noted, never refused."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit


def facts(folder: Path, parts: Sequence[Path] = ()) -> dict[str, object]:
    """Commit, branch, author, remote and whether files in `parts` (without any, all) differ from the commit;
    {} outside of Git or without it."""
    sha = _git(folder, "rev-parse", "HEAD")
    if not sha:
        return {}
    found: dict[str, object] = {
        "sha": sha,
        "branch": _git(folder, "branch", "--show-current") or _branch_of_job(sha),
        "author": _git(folder, "log", "-1", "--format=%an"),
        "remote": _plain(_git(folder, "remote", "get-url", "origin")),
        "subject": _git(folder, "log", "-1", "--format=%s"),
    }
    where = [f"./{part.relative_to(folder)}" for part in parts] or ["."]
    found["dirty"] = bool(_git(folder, "status", "--porcelain", "--", *where))
    return found


def _branch_of_job(sha: str) -> str:
    """CI checks out a commit and no branch; its name is in the environment of the job, which is about this commit
    alone."""
    for commit, branch in (("CI_COMMIT_SHA", "CI_COMMIT_BRANCH"), ("GITHUB_SHA", "GITHUB_REF_NAME")):
        if os.environ.get(commit) == sha:
            return os.environ.get(branch, "")
    return ""


def description(found: dict[str, object]) -> str:
    """One line for the history, when none is given."""
    if not found:
        return ""
    dirty = ", with uncommitted changes" if found["dirty"] else ""
    where = f" on {found['branch']}" if found["branch"] else ""
    return f"{found['subject']} ({str(found['sha'])[:10]}{where}{dirty})"[:500]


def query(found: dict[str, object]) -> dict[str, str]:
    """As the API takes it with a deploy."""
    names = [name for name in ("remote", "branch", "sha", "author") if found.get(name)]
    known = {f"git_{name}": str(found[name])[:500] for name in names}
    return {**known, "git_dirty": "true"} if found.get("dirty") else known


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-c", "i18n.logOutputEncoding=UTF-8", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _plain(remote: str) -> str:
    """Without the password that some put into it."""
    try:
        parts = urlsplit(remote)
    except ValueError:
        return ""
    if not parts.username and not parts.password:
        return remote
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
