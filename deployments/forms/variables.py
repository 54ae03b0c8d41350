"""Forms of environment variables. They judge the shape; the rules are those of `deployments.variables`, asked by the
actions. A secret that was typed is never sent back, not even beside an error."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.datastructures import MultiValueDict

from deployments.domain.dotenv import Parsed, parse
from deployments.domain.variables import KEY_LENGTH, TOTAL_BYTES
from deployments.forms.fields import OfferedFieldsForm
from deployments.models import EnvironmentVariable

_TRIMMED = "Trailing spaces and line breaks are removed."
_AGAIN = "Enter the value again: a secret is never sent back."
_NUL = {"null_characters_not_allowed": "Remove the NUL character; no environment can hold it."}


def _text(rows: int, **attrs: str) -> forms.Textarea:
    return forms.Textarea(
        attrs={"rows": rows, "class": "mono", "spellcheck": "false", "autocomplete": "off", **attrs}
    )


def as_sent(value: str) -> str:
    """A text as a browser's text area sends it back: every line break is one and the same."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _blanked(data: Any, name: str) -> Any:
    """What was posted, without one of its values."""
    copy = data.copy()
    copy[name] = ""
    return copy


class _TextField(forms.CharField):
    """Lines as they were typed, with plain line breaks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, required=False, **kwargs)

    def to_python(self, value: Any) -> str:
        """Browsers send CR LF."""
        return as_sent(super().to_python(value) or "")

    def run_validators(self, value: Any) -> None:
        """NUL is refused with a sentence of ours."""
        if "\x00" in value:
            raise forms.ValidationError(_NUL["null_characters_not_allowed"])


class VariableFilterForm(forms.Form):
    """The filter bar over variables. A value that is not offered filters nothing."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=KEY_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Key or plain value"}),
    )
    kind = forms.ChoiceField(
        label="Kind", required=False, choices=[("", "All"), ("secret", "Secret"), ("plain", "Plain")]
    )

    def narrow(self, rows: QuerySet[EnvironmentVariable]) -> QuerySet[EnvironmentVariable]:
        """Those of `rows` that are asked for. Values of secrets are not looked at."""
        self.is_valid()
        if text := self.cleaned_data.get("q"):
            rows = rows.filter(Q(key__icontains=text) | Q(is_secret=False, value__icontains=text))
        if kind := self.cleaned_data.get("kind"):
            rows = rows.filter(is_secret=kind == "secret")
        return rows


class VariableForm(OfferedFieldsForm):
    """A new variable."""

    key = forms.CharField(
        label="Key",
        help_text="Letters, digits and underscores. The key cannot be changed later.",
        widget=forms.TextInput(
            attrs={
                "maxlength": KEY_LENGTH,
                "autocomplete": "off",
                "spellcheck": "false",
                "autocapitalize": "off",
                "placeholder": "DATABASE_HOST",
                "data-suggests-secret": "id_secret",
            }
        ),
        error_messages={"required": "Enter a key.", **_NUL},
    )
    value = _TextField(label="Value", help_text=_TRIMMED, widget=_text(4))
    secret = forms.BooleanField(
        label="Secret",
        required=False,
        help_text="It can be replaced but never shown again or made plain.",
    )

    @property
    def is_secret(self) -> bool:
        """Whether what was typed must not be shown."""
        return bool(self["secret"].value())

    def typed(self) -> str | None:
        """The value to set; None keeps the one there is. Of a valid form."""
        value: str = self.cleaned_data["value"].rstrip()
        return value

    def hide_secret(self) -> None:
        """Take a typed secret out of what is sent back, and say so beside the field."""
        if self.is_secret and self.data.get("value"):
            self.data = _blanked(self.data, "value")
            if "value" not in self.errors:
                self.add_error("value", _AGAIN)


class EditVariableForm(VariableForm):
    """An existing variable: its key stays, and what is secret stays secret."""

    seen = forms.DateTimeField(widget=forms.HiddenInput, input_formats=["iso-8601"])
    plain = forms.CharField(required=False, widget=forms.HiddenInput)  # "1" when the page showed the value

    def __init__(self, data: MultiValueDict[str, Any] | None, *, row: EnvironmentVariable) -> None:
        initial = {"value": row.value, "secret": row.is_secret, "seen": row.updated_at.isoformat()}
        initial["plain"] = "" if row.is_secret else "1"
        super().__init__(data, initial=initial)
        self.row = row
        del self.fields["key"]
        if row.is_secret:
            del self.fields["secret"]
            self.fields["value"].label = "New value"
            self.fields["value"].help_text = f"Leave it empty to keep the secret there is. {_TRIMMED}"

    @property
    def is_secret(self) -> bool:
        """Whether the value must not be shown."""
        return self.row.is_secret or bool(self["secret"].value())

    def typed(self) -> str | None:
        """The value to set. None, which keeps it, for a secret left empty and for a plain value sent back as shown:
        so that saving without a change trims nothing."""
        sent: str = self.cleaned_data["value"]
        if self.row.is_secret:
            return sent.rstrip() or None
        return None if sent == as_sent(self.row.value) else sent.rstrip()


def typed_over(row: EnvironmentVariable, typed: Any, sentence: str) -> EditVariableForm:
    """The form of a variable that another person changed while its page was filled in, with what was typed there: sent
    once more, it replaces theirs."""
    data = typed.copy()
    data["seen"], data["plain"] = row.updated_at.isoformat(), "" if row.is_secret else "1"
    form = EditVariableForm(data, row=row)
    form.add_error(None, sentence)
    return form


def add_again(key: str, typed: Mapping[str, Any]) -> VariableForm:
    """The form that adds a variable which was deleted while its page was filled in, with what was typed there. What
    is not known to be plain is secret, and so not sent back."""
    secret = "on" if typed.get("secret") or typed.get("plain") != "1" else ""
    data = MultiValueDict({"key": [key], "value": [typed.get("value", "")], "secret": [secret]})
    form = VariableForm(data)
    form.add_error(None, f"{key} was deleted after you opened this page. Add it again if you need it.")
    form.hide_secret()
    return form


class ImportForm(OfferedFieldsForm):
    """A `.env`, pasted or as a file."""

    text = _TextField(
        label="Paste the text",
        help_text="One KEY=value per line. Put multi-line values in double quotes.",
        widget=_text(10, placeholder="WAREHOUSE_HOST=db.example.org"),
    )
    file = forms.FileField(
        label="Or choose a file",
        required=False,
        allow_empty_file=True,
        help_text="A .env file of at most 1 MiB, in UTF-8.",
    )
    secret = forms.BooleanField(
        label="New variables are secret",
        required=False,
        initial=True,
        help_text="Variables that exist already stay plain or secret, as they are.",
    )

    def clean_file(self) -> str:
        """The file's text; "" without one."""
        file = self.cleaned_data["file"]
        if not file:
            return ""
        if file.size > TOTAL_BYTES:
            raise forms.ValidationError(f"Choose a file of at most 1 MiB; this one has {file.size:,} bytes.")
        try:
            text: str = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError(
                "This file is not UTF-8 text. Save it as UTF-8 and try again."
            ) from None
        return text

    def clean(self) -> dict[str, Any]:
        """Exactly one of both, and not too much."""
        cleaned = super().clean()
        text, file = cleaned.get("text", ""), cleaned.get("file", "")
        if self.errors:
            return cleaned
        if text.strip() and file:
            self.add_error("file", "Paste a text or choose a file, not both.")
        elif not text.strip() and not file.strip():
            self.add_error("text", "Paste the text of a .env, or choose a file that is not empty.")
        elif len(text.encode(errors="replace")) > TOTAL_BYTES:
            self.add_error("text", "Paste at most 1 MiB.")
        return cleaned

    def parsed(self) -> Parsed:
        """What a valid form's text sets."""
        text: str = self.cleaned_data[
            "text"
        ]  # may be blank beside a file: browsers send an untouched area so, too
        return parse(text if text.strip() else self.cleaned_data["file"])

    def hide_text(self) -> None:
        """What was pasted may hold secrets: it is not sent back."""
        if self.data.get("text"):
            self.data = _blanked(self.data, "text")


class BaseRevisionForm(forms.Form):
    """The revision that a shown difference is based on."""

    base = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def shown(self) -> int:
        """The posted number; -1, which is never current, when there is none."""
        return int(self.cleaned_data["base"]) if self.is_valid() else -1
