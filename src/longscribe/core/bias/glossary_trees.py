"""JSON and YAML as one kind of tree, in which nothing is lost or guessed.

Numbers keep their digits, and objects keep keys that stand twice. A scalar of YAML is
always a text: in YAML 1.1 the term *No* would be `false`, and the time 1:15 a number.
Only `~`, which is nobody's name, is nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from longscribe.core.bias.glossary_cells import Place
from longscribe.errors import GlossaryError

DEEPEST = 10
"""Levels within levels. A glossary needs five."""
MOST_REPEATED = 1_000_000
"""Values that aliases of YAML may stand for, all together: few bytes can stand for billions."""

# libyaml's parser is ten times faster, and not in every build of PyYAML.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Number(str):
    """A number of JSON, as it was written."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The keys and values of an object, in order."""

    pairs: tuple[tuple[str, Tree], ...]


Tree: TypeAlias = "str | bool | list[Tree] | Fields | None"


def json_tree(text: str, name: str) -> Tree:
    """Return what a JSON file holds.

    Raises:
        GlossaryError: it is not JSON.
    """
    try:
        tree: Tree = json.loads(
            text,
            object_pairs_hook=lambda pairs: Fields(pairs=tuple(pairs)),
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
        )
    except json.JSONDecodeError as error:
        raise Place(name=name, where=f"line {error.lineno}").wrong(
            f"this is not JSON: {error.msg}", "Check brackets, commas and quotes."
        ) from None
    except RecursionError:
        raise _too_deep(name) from None
    return tree


def yaml_tree(text: str, name: str) -> Tree:
    """Return what a YAML file holds, None if nothing.

    Raises:
        GlossaryError: it is not YAML, or has more to it than a list of terms needs.
    """
    # Built from the parser's events, never by a constructor: no tag makes an object, deep
    # nesting does not recurse, and what aliases stand for is counted before it is walked.
    builder = _Builder(name=name)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Place(name=name, where=f"line {line}").wrong(
            f"this is not YAML: {error.problem or error.context}", "Check indentation and quotes."
        ) from None
    except yaml.YAMLError as error:
        what = str(error).partition("\n")[0]
        raise GlossaryError(f"{name} is not YAML: {what}.", "Check the file.") from None
    return builder.root


def _too_deep(name: str) -> GlossaryError:
    return GlossaryError(
        f"{name} is nested over {DEEPEST} levels deep.", "A glossary is a list of terms."
    )


@dataclass(kw_only=True)
class _Node:
    """A list or an object that is being built."""

    is_object: bool
    anchor: str | None
    values: list[Tree] = field(default_factory=list)
    """Of an object: keys and values in turn."""
    size: int = 1
    """Values in it, itself and what aliases stand for included."""

    def tree(self) -> Tree:
        if not self.is_object:
            return self.values
        return Fields(pairs=tuple(zip(map(str, self.values[::2]), self.values[1::2], strict=True)))


@dataclass(kw_only=True)
class _Builder:
    """Builds a tree from the events of YAML."""

    name: str
    root: Tree = None
    documents: int = 0
    repeated: int = 0
    path: list[_Node] = field(default_factory=list)
    anchors: dict[str, tuple[Tree, int]] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._wrong(event, "a second document begins", "Put all terms into one list.")
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_tag(event)
            is_object = isinstance(event, yaml.MappingStartEvent)
            self.path.append(_Node(is_object=is_object, anchor=event.anchor))
            if len(self.path) > DEEPEST:
                raise _too_deep(self.name)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self.path.pop()
            self._add(node.tree(), node.size, node.anchor, event)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event)
            is_tilde = event.value == "~" and not event.style
            self._add(None if is_tilde else str(event.value), 1, event.anchor, event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(*self._repeat(event), None, event)

    def _wrong(self, event: yaml.Event, what: str, remedy: str) -> GlossaryError:
        line = event.start_mark.line + 1 if event.start_mark else 1
        return Place(name=self.name, where=f"line {line}").wrong(what, remedy)

    def _refuse_tag(self, event: yaml.CollectionStartEvent | yaml.ScalarEvent) -> None:
        if event.tag is not None:
            raise self._wrong(
                event,
                f"{event.tag[:60]!r} without quotes is a tag of YAML",
                "Put what begins with '!' in quotes.",
            )

    def _repeat(self, event: yaml.AliasEvent) -> tuple[Tree, int]:
        if event.anchor not in self.anchors:
            raise self._wrong(
                event, f"nothing before is marked '&{event.anchor}'", "Mark it before its use."
            )
        tree, size = self.anchors[event.anchor]
        self.repeated += size
        if self.repeated > MOST_REPEATED:
            raise self._wrong(
                event,
                f"aliases ('*{event.anchor}') stand for over {MOST_REPEATED:,} values",
                "Write out what is repeated, or leave it out.",
            )
        return tree, size

    def _add(self, tree: Tree, size: int, anchor: str | None, event: yaml.Event) -> None:
        if anchor:
            self.anchors[anchor] = (tree, size)
        if not self.path:
            self.root = tree
            return
        node = self.path[-1]
        if node.is_object and len(node.values) % 2 == 0 and not isinstance(tree, str):
            raise self._wrong(event, "a key is not a text", "Write: key: value.")
        node.values.append(tree)
        node.size += size
