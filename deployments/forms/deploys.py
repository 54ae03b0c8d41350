"""Forms of deploying code. They judge the shape of what is sent; an archive is judged by `domain.code_archive`."""

import uuid
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from deployments.domain.code_errors import MIB
from deployments.domain.code_limits import LIMITS
from deployments.domain.deploy_states import DESCRIPTION_LENGTH, DESCRIPTION_TOO_LONG
from deployments.forms.fields import OfferedFieldsForm


def description_field(
    help_text: str = "What changes and why, for those who look at the list later.",
) -> forms.CharField:
    """What a person says of a deploy."""
    return forms.CharField(
        label="Description",
        required=False,
        max_length=DESCRIPTION_LENGTH,
        help_text=help_text,
        widget=forms.TextInput(attrs={"maxlength": DESCRIPTION_LENGTH, "autocomplete": "off"}),
        error_messages={"max_length": DESCRIPTION_TOO_LONG},
    )


def key_field() -> forms.UUIDField:
    """What makes one deploy of a form that is posted twice."""
    sentence = "This page is not complete. Reload it and try again."
    return forms.UUIDField(
        widget=forms.HiddenInput, error_messages=dict.fromkeys(("required", "invalid"), sentence)
    )


class UploadForm(OfferedFieldsForm):
    """An archive of code."""

    archive = forms.FileField(
        label="Archive",
        help_text=(
            "A .zip or .tar.gz with the content of your DAGs folder, or a project with dags/ and requirements.txt, at "
            f"most {LIMITS.packed // MIB} MiB. A file .airdeckignore in it says what is left out."
        ),
        widget=forms.FileInput(attrs={"accept": ".zip,.tar.gz,.tgz,application/zip,application/gzip"}),
        error_messages={
            "required": "Choose a .zip or .tar.gz file.",
            "empty": "This file is empty. Choose a .zip or .tar.gz file.",
            "invalid": "Choose a .zip or .tar.gz file.",
        },
    )

    def file(self) -> "UploadedFile[bytes]":
        """What was uploaded, of a valid form."""
        found: UploadedFile[bytes] = self.cleaned_data["archive"]
        return found

    def refused(self, sentence: str) -> None:
        """What is wrong with the archive."""
        self.add_error("archive", sentence)


class DeployForm(OfferedFieldsForm):
    """Deploying what was uploaded. `seen` is what its difference was shown to."""

    description = description_field()
    despite_syntax = forms.BooleanField(
        label="Deploy even when files do not compile",
        required=False,
        help_text="Otherwise the deploy stops there, and nothing changes.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput, max_length=64)


class RollBackForm(OfferedFieldsForm):
    """Going back to the code of an earlier deploy. The key makes one deploy of a form that is posted twice."""

    description = description_field()
    idempotency_key = key_field()

    def __init__(self, data: Any) -> None:
        super().__init__(data, initial={"idempotency_key": uuid.uuid4()})
