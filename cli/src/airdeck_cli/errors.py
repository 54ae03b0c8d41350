"""How a command ends when it did not do what was asked. What was not done never ends with 0."""

from collections.abc import Mapping

FAILED, USAGE, NOT_ALLOWED, CONFLICT, TIMED_OUT, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130


class CliError(Exception):
    """One sentence for stderr, and the exit code. `errors` are sentences by path; `code` is the API's."""

    def __init__(
        self,
        sentence: str,
        exit_code: int = FAILED,
        *,
        errors: Mapping[str, str] | None = None,
        code: str = "",
        status: int = 0,
    ) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.errors = dict(errors or {})
        self.code = code
        self.status = status
        self.repeated = False  # of a request whose earlier answer was lost: it may have been done then

    @property
    def lines(self) -> list[str]:
        """What is printed."""
        if not self.errors:
            return [str(self)]
        listed = [f"  {path}: {sentence}" for path, sentence in self.errors.items()]
        return [
            str(self) if len(self.errors) > 1 or str(self) not in self.errors.values() else "This is wrong:",
            *listed,
        ]


def not_given(variable: str) -> CliError:
    """The error for a variable of the environment that is to hold a secret, and is empty."""
    return CliError(
        f"{variable} is empty: this job was not given the secret. Check its name, and whether a job of this branch may "
        "have it.",
        NOT_ALLOWED,
    )
