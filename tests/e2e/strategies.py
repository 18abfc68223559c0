"""Any value of a frozen dataclass, for Hypothesis: built from its type hints."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st

from longscribe.types import Span

Thing = TypeVar("Thing")

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(0, 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    Span: st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)).map(
        lambda ends: Span(start=min(ends), end=max(ends))
    ),
}


def any_of(kind: type[Thing]) -> st.SearchStrategy[Thing]:
    """Return a strategy for values of `kind`."""
    return _strategy(kind)


def _strategy(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_strategy(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_strategy(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*[_strategy(argument) for argument in arguments])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    assert dataclasses.is_dataclass(kind), f"no strategy for {kind}"
    hints = typing.get_type_hints(kind)
    fields = {field.name: _strategy(hints[field.name]) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


_SAMPLES: dict[Any, Any] = {
    str: "text",
    int: 3,
    float: 0.25,
    bool: True,
    type(None): None,
    Span: Span(start=16_000, end=320_000),
}


def sample(kind: type[Thing], **fields: Any) -> Thing:
    """Return some value of `kind`, always the same, with `fields` as given."""
    hints = typing.get_type_hints(kind)
    rest = [field.name for field in dataclasses.fields(kind) if field.name not in fields]  # type: ignore[arg-type]
    return kind(**fields, **{name: _sample(hints[name]) for name in rest})


def _sample(kind: Any) -> Any:
    if kind in _SAMPLES:
        return _SAMPLES[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        members = arguments[:1] if arguments[-1] is Ellipsis else arguments
        return tuple(_sample(member) for member in members)
    if origin is Literal or origin in (typing.Union, types.UnionType):
        return arguments[0] if origin is Literal else _sample(arguments[0])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    return sample(kind)
