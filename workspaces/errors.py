"""What an action answers when it cannot be done now."""


class Refused(Exception):
    """The action did nothing. The text is the sentence for the person: what is wrong, and what to do."""

    @property
    def sentence(self) -> str:
        """For the page."""
        return str(self)
