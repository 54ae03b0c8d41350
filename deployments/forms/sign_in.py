"""The form of a token for scripts."""

from django import forms

from deployments.actions.sign_in import TOKEN_MINUTES


class TokenForm(forms.Form):
    """For how long the token lives."""

    minutes = forms.TypedChoiceField(
        label="Valid for",
        choices=[(each, f"{each} minutes") for each in TOKEN_MINUTES],
        coerce=int,
        initial=TOKEN_MINUTES[0],
    )
