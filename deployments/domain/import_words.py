"""How files that Airflow cannot import are counted in a sentence. Pure."""

from console.kit.wording import counted


def not_imported(count: int, of: str = "") -> str:
    """ "1 file does not import" and "3 files do not import", without a full stop. With `of`, such as "41 Python files":
    "3 of 41 Python files do not import"."""
    which = f"{count} of {of}" if of else counted(count, "file")
    return f"{which} {'does' if count == 1 else 'do'} not import"
