"""A form that carries what its reader was shown, signed: so that nothing is overwritten that no one has seen."""

from typing import Any

from django import forms
from django.core import signing
from django.http import QueryDict

from deployments.domain.field_values import FieldValues
from deployments.forms.fields import OfferedFieldsForm

_OLD_PAGE = "This page is not complete. Reload it and try again."


class ShownForm(OfferedFieldsForm):
    """A form over stored settings. `carry` comes first; `names` are the fields whose values are stored."""

    names: tuple[str, ...] = ()
    _salt = ""

    def carry(self, settings: FieldValues, about: str) -> None:
        """Show the settings of now. `about` names what they belong to, so that a form of one Deployment says nothing
        about another."""
        self._salt = f"airdeck.edit.{about}"
        self.fields["shown"] = self.hidden(lambda: signing.dumps(settings, salt=self._salt))

    @staticmethod
    def hidden(initial: Any = "") -> forms.CharField:
        """A field that no one sees."""
        return forms.CharField(widget=forms.HiddenInput, required=False, initial=initial)

    def clean_shown(self) -> FieldValues:
        """What the reader was shown. A form without it is refused: it could overwrite what no one has seen."""
        try:
            shown: FieldValues = signing.loads(self.cleaned_data["shown"], salt=self._salt)
        except signing.BadSignature:
            raise forms.ValidationError(_OLD_PAGE) from None
        return shown

    def clean(self) -> dict[str, Any]:
        """A hidden field cannot be pointed at: what is wrong with it stands on top."""
        cleaned = super().clean()
        if self.errors.pop("shown", None):
            self.add_error(None, _OLD_PAGE)
        return cleaned

    @property
    def shown(self) -> FieldValues:
        """What the reader of a valid form was shown."""
        found: FieldValues = self.cleaned_data["shown"]
        return found

    @property
    def desired(self) -> FieldValues:
        """What a valid form asks for."""
        return {name: self.cleaned_data[name] for name in self.names}

    def merge(self, now: FieldValues) -> None:
        """What is stored has changed to `now`: take it, but for the fields that this reader has changed."""
        was, yours = self.shown, self.desired
        taken = {
            name: str(now[name]) for name in self.names if name in now and yours.get(name) == was.get(name)
        }
        self.refill(**taken, shown=signing.dumps(now, salt=self._salt))
        self.full_clean()  # theirs and yours together may be wrong

    def refill(self, **values: str) -> None:
        """Show these values, and every other field as it was filled in."""
        data = QueryDict(mutable=True)
        data.update({name: self.data.get(name, "") for name in self.fields})
        for name, value in values.items():
            data[name] = value
        self.data = data
