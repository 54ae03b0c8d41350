"""Inputs and headers of the JSON API that know no app: bodies, ETags, keys of retries."""

import hashlib
import json
from typing import Annotated, Any, cast
from uuid import UUID, uuid4, uuid5

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from console.kit.refusals import ActionRefused, InvalidInput
from console.kit.text import refuse_unstorable

# What a client sends is judged by the same forms and actions as on the pages, which say what is wrong in their own
# words. So these take anything, and only the document says what is meant.
Text = Annotated[Any, WithJsonSchema({"type": "string"})]
OptionalText = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
Number = Annotated[Any, WithJsonSchema({"type": "integer"})]
OptionalNumber = Annotated[Any, WithJsonSchema({"type": ["integer", "null"]})]
Flag = Annotated[Any, WithJsonSchema({"type": "boolean"})]

NOT_TEXT = "Enter text."
NOT_FLAG = "Enter true or false."
KEY_LENGTH = 64


class Input(BaseModel):
    """A body. `given` is what the client sent of it; what it does not know is refused by name."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    def given(self) -> dict[str, Any]:
        """The fields that were sent, null included."""
        return {
            name: getattr(self, name)
            for name in self.model_fields_set
            if name not in (self.model_extra or {})
        }

    def strange(self) -> dict[str, str]:
        """A sentence for each field that there is not."""
        return {name[:100]: f"There is no field {name[:100]} here." for name in self.model_extra or {}}


class BodyParser(Parser):
    """JSON as the standard has it: no NaN, and only text that can be stored."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body. Raises ValueError and RecursionError, which ninja makes a 400 of."""
        data = json.loads(request.body, parse_constant=_refuse)
        refuse_unstorable(data)
        return data


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


class Stale(ActionRefused):
    """If-Match names a state that is no more."""

    code, status = "stale", 412

    def __init__(self) -> None:
        super().__init__(
            "This was changed in the meantime. Read it again, and send what you want with its new ETag."
        )


def etag(*values: object) -> str:
    """A strong ETag of these values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'


def require_match(request: HttpRequest, current: str) -> None:
    """Raises Stale when the request has an If-Match that is not about what there is now."""
    asked = request.headers.get("If-Match")
    if asked is not None and asked.strip() != "*" and not names_tag(asked, current):
        raise Stale


def names_tag(header: str, tag: str) -> bool:
    """Whether this header, If-Match or If-None-Match, names the ETag. A proxy that compresses an answer makes its tag a
    weak one; what the tag is of is the same."""
    return tag in [each.strip().removeprefix("W/") for each in header.split(",")]


def retry_key(request: HttpRequest, *owners: UUID) -> UUID:
    """What makes one thing of however many posts: from the Idempotency-Key, which counts for these owners (a token, a
    Deployment); without one a new key for each request. Raises InvalidInput."""
    text = request.headers.get("Idempotency-Key", "")
    if len(text) > KEY_LENGTH:
        raise InvalidInput(
            {"Idempotency-Key": f"Send an Idempotency-Key of at most {KEY_LENGTH} characters."}
        )
    if not text:
        return uuid4()
    return uuid5(owners[0], " ".join((*map(str, owners[1:]), text)))


def form_data(payload: Input, *, texts: tuple[str, ...] = (), numbers: tuple[str, ...] = ()) -> "Typed":
    """What was sent as a form takes it. `Typed.problems` has what no form can judge: fields that there are not, and
    text that is none. Null is as if the field was left empty."""
    data: dict[str, Any] = {}
    problems = payload.strange()
    for name, value in payload.given().items():
        if name in numbers:
            data[name] = value if _is_whole(value) else "" if value is None else "?"
        elif name in texts and value is not None and not isinstance(value, str):
            problems[name] = NOT_TEXT
        elif value is None:
            data[name] = ""
        else:
            data[name] = value
    return Typed(data, problems)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


class Typed:
    """The values for a form, and what is wrong with others."""

    def __init__(self, data: dict[str, Any], problems: dict[str, str]) -> None:
        self.data = data
        self.problems = problems

    def refuse(self, errors: Any) -> None:
        """Raise InvalidInput with what is wrong in all, `errors` of a form included, unless nothing is."""
        found = dict(self.problems)
        for name, messages in cast(dict[str, list[str]], errors).items():
            found.setdefault("" if name == "__all__" else name, str(messages[0]))
        if found:
            raise InvalidInput(found)
