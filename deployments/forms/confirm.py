"""The form that asks for a name to be typed before something goes."""

from django.http import QueryDict

from deployments.forms.fields import OfferedFieldsForm
from workspaces.forms import ConfirmForm


class ConfirmNameForm(OfferedFieldsForm, ConfirmForm):
    """Typing the name of a Deployment or a worker queue is the confirmation."""

    def __init__(self, data: QueryDict | None, *, name: str) -> None:
        super().__init__(
            data,
            label=f"Type {name} to confirm",
            expected=name,
            sentence=f"This is not its name. Type {name} to confirm.",
        )
