"""What an action answers when it does nothing: one family for pages, admin, commands and programs.

An action raises; who called it shows the sentence. A form puts `problems` beside its fields, a page of its own maps
`status`, and a program reads `code`, which never changes once it is published.
"""

from collections.abc import Mapping


class ActionRefused(Exception):
    """The action did nothing. `str()` is the sentence for the person: what is wrong, and what to do.

    Subclasses say which kind it is: `code` for programs, `status` as an HTTP status, `field` for the input that the
    sentence belongs to ("" for the request as a whole).
    """

    code = "refused"
    status = 409
    field = ""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        if field is not None:
            self.field = field

    @property
    def sentence(self) -> str:
        """For the page."""
        return str(self)

    @property
    def problems(self) -> Mapping[str, str]:
        """Every sentence, by field."""
        return {self.field: str(self)}


class InvalidInput(ActionRefused):
    """One or more inputs break a rule. `problems` has all of them at once; `str()` joins them."""

    code = "invalid"
    status = 422

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self._problems = dict(problems)

    @property
    def problems(self) -> Mapping[str, str]:
        """Every sentence, by field."""
        return self._problems
