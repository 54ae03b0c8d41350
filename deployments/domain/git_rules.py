"""What may be asked of a Git source: branch, subfolder, how often. Each rule with its sentence. Pure."""

import re

from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_paths import clean_path
from deployments.domain.git_address import HTTPS, GitAddress, parse
from deployments.domain.public_hosts import REPOSITORIES

BRANCH_LENGTH = 250
SUBFOLDER_LENGTH = 500
TOKEN_LENGTH = 4096
EVERY_MINUTES = (1, 1440)
EVERY_DEFAULT = 5
TOKEN_USER = "git"  # noqa: S105 - a user name. GitHub, GitLab and Gitea take any beside a token; Bitbucket wants its own

_TOKEN_USER = re.compile(r"[A-Za-z0-9._@+-]{1,100}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
# git-check-ref-format(1), as far as a branch is concerned.
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")


def address_problem(text: str) -> str:
    """Why this is no address of a repository that may be asked; "" when it is one."""
    try:
        return REPOSITORIES.refusal(parse(text).host)
    except ValueError as error:
        return str(error)


def branch_problem(branch: str) -> str:
    """Why no branch can have this name; "" when one can."""
    if not branch:
        return "Enter a branch, for instance main."
    if len(branch) > BRANCH_LENGTH:
        return f"Enter at most {BRANCH_LENGTH} characters."
    if _NO_BRANCH.search(branch) or branch[0] in "-/." or branch[-1] in "/." or branch == "@":
        return "No branch can have this name. Enter it as `git branch` shows it, for instance main."
    return ""


def clean_subfolder(text: str) -> str:
    """The folder in the repository, "" for its root. Raises ValueError with the sentence."""
    if len(text) > SUBFOLDER_LENGTH:
        raise ValueError(f"Enter at most {SUBFOLDER_LENGTH} characters.")
    try:
        return clean_path(text.strip().lstrip("/"))
    except CodeRefused:
        raise ValueError(
            "Enter a folder in the repository, such as dags or team/dags, without “..”."
        ) from None


def every_problem(minutes: int | None) -> str:
    """Why it cannot be looked at so often; "" when it can. None is never."""
    low, high = EVERY_MINUTES
    if minutes is not None and not low <= minutes <= high:
        return f"Enter {low:,} to {high:,} minutes, or nothing for never."
    return ""


def token_problems(address: GitAddress, user: str, token: str | None) -> dict[str, str]:
    """What is wrong with a token for this address, by field. None is no token."""
    problems: dict[str, str] = {}
    if token is not None and address.scheme != HTTPS:
        problems |= {
            "token": "A token is for https:// addresses. For this one Airdeck creates a key: leave the token empty."
        }
    elif token is not None and (len(token) > TOKEN_LENGTH or not _TOKEN.fullmatch(token)):
        problems |= {
            "token": "This is not a token: it holds blanks or characters that no token has. Copy it again."
        }
    if not _TOKEN_USER.fullmatch(user):
        problems |= {
            "token_user": "Enter the user name that your Git host wants beside a token, usually git."
        }
    return problems
