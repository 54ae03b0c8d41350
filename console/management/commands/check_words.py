"""`manage.py check_words`: one word per thing. Removed words and second spellings stay out of what people read, and the
oddest words out of names, docstrings and comments."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

# A word that is not used, and what is said instead; docs/glossary.md has the reasons.
EVERYWHERE = {
    r"\be-mails?\b": "email",
    r"\b(?i:behaviour|colour|licence|favour|organis|recognis|cancelled|normalise)\w*": "the American spelling",
    r"\bWorker Types?\b": "worker type",
    r"\b[Ss]omebody\b": "someone, or who it is",
    r"\b[Nn]obody\b(?!@)": "no one, or what cannot be done",
    r"\b[Ww]hoever\b": "who it is",
    r"\b(?:was|were|not) heard\b": "No answer since, or No news for",
    r"\banew\b": "again",
    r"\bmeanwhile\b": "what happened, in a sentence of its own",
}
# In docstrings and comments.
CODE = {
    r"\b(?i:anew)\b": "again",
    r"\b(?i:meanwhile)\b": "in the meantime, or what happened",
    r"\b(?i:whoever)\b": "who it is",
    r"\b(?i:told)\b": "asked, or reported",
    r"\b(?i:somebody|nobody)\b": "who it is, or no one",
    r"\b(?i:troubled?s?)\b": "what is wrong",
    r"\b(?i:heard)\b": "watched, or reported",
    r"\b(?i:mend)(?:s|ed|ing)?\b": "fix",
}
# These have uses in comments; in what people read they are odd.
READ = {
    r"\bpicked up\b": "Queued",
    r"\bis away\b": "is unavailable",
    r"\bcut off\b": "stopped",
    r"\bPut to sleep\b": "Hibernated",
    r"\bCount them\b": "Show how many",
    r"\bGo on\b": "Continue",
    r"\bInfo and worse\b": "Info and above",
    r"\bYou may not\b": "You do not have permission",
    r"\bone of both\b": "one of them",
    r"\b[Mm]end(?:s|ed|ing)?\b": "fix",
    r"\b(?i:is|falling|stays) asleep\b": "hibernating",
    r"\b(?:oops|sorry|please)\b": "a plain sentence",
}
# No name has one of these as a word of its own.
NAMES = re.compile(
    r"(?:^|_)(said|wanted|unwanted|troubled?|nobody|somebody|whoever|anew|meanwhile|told|tells?|telling|hears?|heard"
    r"|unheard|hearing|living|settled|mend|mends|mended)(?:_|$)",
    re.I,
)
# Their texts go into Deployments: one word changed there restarts every Airflow.
SHIPPED = {
    "airflow_auth_manager.py",
    "airflow_bundle.py",
    "airflow_component.py",
    "airflow_sign_in.py",
    "code_server.py",
    "code_versions.py",
    "probe.py",
    "served_bundle.py",
    "served_logs.py",
}
PLACES = (
    "console",
    "workspaces",
    "deployments",
    "templates",
    "static",
    "docs",
    "cli",
    "README.md",
    "CONTRIBUTING.md",
)
LEFT_OUT = re.compile(r"/(migrations|tests|bench|locks|adr|icons)/|check_words|glossary\.md|performance\.md")


def _files() -> Iterator[Path]:
    for place in PLACES:
        path = settings.BASE_DIR / place
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for each in found:
            if each.suffix in {".py", ".html", ".txt", ".js", ".md"} and not LEFT_OUT.search(str(each)):
                yield each


def _docstrings(tree: ast.AST) -> set[int]:
    """The ids of the nodes that are docstrings."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, holders)]
    return {
        id(body[0].value)
        for body in bodies
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    }


def _sentences(path: Path) -> Iterator[tuple[int, str]]:
    """What of a file a person may read, with its line: templates and docs whole, of code the strings."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(re.sub(r"{#.*?#}", "", text).splitlines(), start=1)
        return
    tree = ast.parse(text)
    docstrings = _docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _code_problems(path: Path) -> Iterator[tuple[int, str]]:
    """Odd words in the names, docstrings and comments of a Python file, each with its line."""
    with path.open() as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.NAME and NAMES.search(token.string):
                yield token.start[0], f"“{token.string}” is not used as a name; say what it holds or does."
            elif token.type == tokenize.COMMENT or (
                token.type == tokenize.STRING and token.string.startswith('"""')
            ):
                for pattern, instead in CODE.items():
                    if match := re.search(pattern, token.string):
                        yield token.start[0], f"“{match[0]}” is not used; say {instead}."


def problems() -> list[str]:
    """One line for each removed word: where it is, and what is said instead."""
    found = []
    for path in _files():
        where = path.relative_to(settings.BASE_DIR)
        words = {**EVERYWHERE, **({} if path.suffix in {".md", ".js"} else READ)}
        for number, text in _sentences(path):
            for pattern, instead in words.items():
                if match := re.search(pattern, text):
                    found.append(f"{where}:{number}: “{match[0]}” is not used; say {instead}.")
        if path.suffix == ".py" and path.name not in SHIPPED:
            found += [f"{where}:{number}: {problem}" for number, problem in _code_problems(path)]
    return found


class Command(BaseCommand):
    """Part of `make check`. Changes nothing."""

    help = "Name removed words and second spellings in pages, messages and docs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with one line per word."""
        if found := problems():
            raise CommandError("\n".join(found))
        self.stdout.write("One word per thing.")
