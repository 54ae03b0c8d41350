"""What a preloaded module took from the configuration and the environment while it was imported.

The parent's own configuration belongs to no Deployment. A module that read a setting at import keeps the parent's
value, so a child may only go on if every such reading gives the same in its own configuration (`handover` looks). The
readings are recorded by wrapping Airflow's configuration parsers and `os.environ` during the preload.
"""

import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import Any

PARSERS = ("airflow._shared.configuration.parser", "airflow.sdk._shared.configuration.parser")
READERS = ("get", "getsection", "has_option", "as_dict")  # all others come to these


@dataclass(frozen=True)
class Reading:
    """One call of a configuration parser during an import: by which module, of which parser, and what it gave.

    `given` is the value, or the class of the exception.
    """

    module: str
    sdk: bool
    method: str
    args: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...]
    given: Any

    def read_again(self, parser: Any) -> Any:
        """What the same call of `parser` gives now."""
        return _outcome(getattr(type(parser), self.method), parser, self.args, dict(self.named))[0]

    @property
    def setting(self) -> str:
        """Its name for people: "core.parallelism"."""
        named = dict(self.named)
        words = [*self.args, *(named[word] for word in ("section", "key", "option") if word in named)]
        return ".".join(str(word) for word in words[:2]).lower()


@dataclass
class Readings:
    """All of one preload."""

    settings: list[Reading] = field(default_factory=list)
    variables: dict[str, str | None] = field(default_factory=dict)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Everything that is read inside is noted."""
        finder = _Finder(self)
        environment = type(os.environ)
        kept = {
            name: environment.__dict__[name]
            for name in ("__getitem__", "__contains__")
            if name in environment.__dict__
        }
        take = environment.__getitem__

        def taken(variables: MutableMapping[str, str], name: str) -> str:
            try:
                value = take(os.environ, name)
            except KeyError:
                self.variables.setdefault(name, None)
                raise
            self.variables.setdefault(name, value)
            return value

        environment.__getitem__ = taken  # type: ignore[method-assign]
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            environment.__getitem__ = kept["__getitem__"]  # type: ignore[method-assign]
            finder.unwrap()


class _Finder(MetaPathFinder):
    """Wraps the readers of the configuration parsers' classes as soon as these are there."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._wrapped: list[tuple[type, str, Any]] = []
        self._depth = 0

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """The ordinary spec, with a loader that calls us afterwards."""
        if name not in PARSERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Afterwards(spec.loader, self)
        return spec

    def wrap(self, module: ModuleType) -> None:
        """Record the readers of this module's parser class."""
        kind = module.AirflowConfigParser
        for method in READERS:
            plain = kind.__dict__.get(method)
            if plain is not None:
                self._wrapped.append((kind, method, plain))
                setattr(kind, method, self._recorder(plain, method, sdk=".sdk." in module.__name__))

    def unwrap(self) -> None:
        """Take the recording away again."""
        for kind, method, plain in self._wrapped:
            setattr(kind, method, plain)

    def _recorder(self, plain: Any, method: str, *, sdk: bool) -> Any:
        def recorded(parser: Any, *args: Any, **named: Any) -> Any:
            self._depth += 1
            try:
                given, error = _outcome(plain, parser, args, named)
            finally:
                self._depth -= 1
            module = importing(sys._getframe(1))
            if self._depth == 0 and module:
                self._readings.settings.append(
                    Reading(module, sdk, method, args, tuple(sorted(named.items())), given)
                )
            if error is not None:
                raise error
            return given

        return recorded


class _Afterwards(Loader):
    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the ordinary loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As the ordinary loader does, and then the wrapping."""
        self._loader.exec_module(module)
        self._finder.wrap(module)


def _outcome(
    call: Any, parser: Any, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, Exception | None]:
    """What the call gives: a value, or the class of its exception, and that."""
    try:
        return call(parser, *args, **named), None
    except Exception as error:
        return type(error), error


def importing(frame: FrameType | None) -> str:
    """The module that is being imported in this stack; "" when none is."""
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return ""
