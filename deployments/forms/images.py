"""Forms of images. They judge the shape; the rules are `domain.image_reference`'s, asked by the action. A password that
was typed is never sent back, not even beside an error."""

import uuid
from typing import Any

from django import forms

from deployments.domain.image_reference import EXAMPLE, LONGEST
from deployments.forms.deploys import description_field, key_field
from deployments.forms.fields import OfferedFieldsForm

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "class": "mono"}


class ImageForm(OfferedFieldsForm):
    """Which image to run. The key makes one deploy of a form that is posted twice."""

    image = forms.CharField(
        label="Image",
        help_text=(
            "Its name with a tag or a digest, as a node pulls it. A tag is resolved to a digest once, and that image "
            "runs from then on."
        ),
        widget=forms.TextInput(attrs={**_PLAIN, "maxlength": LONGEST, "placeholder": EXAMPLE}),
        error_messages={"required": f"Enter the name of an image, such as {EXAMPLE}."},
    )
    description = description_field("What is in it and why, for people who look at the list later.")
    idempotency_key = key_field()

    def __init__(self, data: Any) -> None:
        super().__init__(data, initial={"idempotency_key": uuid.uuid4()})


class RuntimesImageForm(OfferedFieldsForm):
    """Going back to the image of the runtime: a click, which is one deploy."""

    idempotency_key = key_field()

    def __init__(self, data: Any) -> None:
        super().__init__(data, initial={"idempotency_key": uuid.uuid4()}, auto_id="id_back_%s")


class RegistryLoginForm(OfferedFieldsForm):
    """The login by which images are pulled."""

    host = forms.CharField(
        label="Registry",
        help_text="Its host name. For Docker Hub that is docker.io.",
        widget=forms.TextInput(attrs={**_PLAIN, "maxlength": 255, "placeholder": "registry.example.com"}),
        error_messages={"required": "Enter the host name of a registry."},
    )
    user = forms.CharField(
        label="User name",
        widget=forms.TextInput(attrs={**_PLAIN, "maxlength": 255}),
        error_messages={"required": "Enter the user name of the login."},
    )
    password = forms.CharField(
        label="Password or token",
        strip=False,
        help_text="One that may only pull is enough. It is stored encrypted, and never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "mono"}),
        error_messages={"required": "Enter the password or token of the login."},
    )
