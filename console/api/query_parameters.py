"""What an address may carry behind its question mark: what the endpoint declares, and nothing else."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any

from django.http import HttpRequest
from ninja.params.models import Query

from console.kit.refusals import InvalidInput

LONGEST = 100  # characters of a name that are repeated to who sent it


def refuse_unknown(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, which raises InvalidInput for a query parameter that it does not declare, before it does anything:
    `?dryrun=true` must not deploy. For `NinjaAPI.add_decorator` in the mode "operation", which runs inside what
    authorises, so that who may not ask at all hears that first."""
    known = declared(inspect.signature(endpoint))

    @wraps(endpoint)
    def asked(request: HttpRequest, *args: Any, **values: Any) -> Any:
        if problems := strange(request.GET, known):
            raise InvalidInput(problems)
        return endpoint(request, *args, **values)

    return asked


def declared(signature: inspect.Signature) -> frozenset[str]:
    """The query parameters of an endpoint, as they stand in an address."""
    return frozenset(
        each.default.alias or name
        for name, each in signature.parameters.items()
        if isinstance(each.default, Query)
    )


def strange(given: Mapping[str, object], known: frozenset[str]) -> dict[str, str]:
    """A sentence for each parameter that there is not, as `Input.strange` has for fields of a body."""
    return {name[:LONGEST]: _sentence(name[:LONGEST], known) for name in given if name not in known}


def _sentence(name: str, known: frozenset[str]) -> str:
    near = get_close_matches(name, known, 1)
    advice = f" Did you mean {near[0]}?" if near else ""
    return f"There is no query parameter {name} here.{advice}"
