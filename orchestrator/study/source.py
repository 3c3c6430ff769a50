"""A study's YAML as plain values, and the line of every key in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError, nearest

KeyPath = Sequence[str | int]
"""Keys and positions from the top of the file to a value: ``("adaptations", 2, "weight")``."""
WRONG_KEY = "[key]"
"""What pydantic puts after a key that a mapping may not have."""


@dataclass(frozen=True)
class Source:
    """A YAML file that was read.

    Attributes:
        path: as the user wrote it; messages repeat it.
        values: what it holds, as plain Python values.
        tree: the same with positions, for messages.
    """

    path: Path
    values: Any
    tree: yaml.Node | None

    def where(self, keys: KeyPath) -> str:
        """``studies/demo.yaml:14: adaptations.2.weight``, for a message; the nearest line that is in the file."""
        keys = self.written(keys)
        place = f"{self.path}:{self.line(keys)}" if self.tree else str(self.path)
        return ": ".join([place, ".".join(map(str, keys))]) if keys else place

    def written(self, keys: KeyPath) -> KeyPath:
        """The same place as the file has it.

        Left out are steps of the model that are no key of the file: the position of a thing that stands alone where a
        list may be, the kind by which one of several models was chosen, the mark of a key that is itself wrong. The
        last key may be one that the file lacks, and should have.
        """
        value, kept = self.values, list[str | int]()
        keys = _dotted(keys, value)
        for position, key in enumerate(keys):
            there = key in value if isinstance(value, dict) else isinstance(value, list) and key in range(len(value))
            should_be = position == len(keys) - 1 and isinstance(key, str) and key != WRONG_KEY
            if there or (should_be and isinstance(value, dict)):
                kept.append(key)
            value = value[key] if there else value
        return tuple(kept)

    def line(self, keys: KeyPath) -> int:
        """The line of a key, counted from 1; of the nearest one above it if it is not in the file."""
        node, line = self.tree, 1
        for key in self.written(keys):
            step = _step(node, key)
            if step is None:
                break
            line, node = step
        return line


def _dotted(keys: KeyPath, value: Any) -> KeyPath:
    """The keys, those joined that are one key of the file: a space names parameters as ``recipe.epochs``."""
    for position, key in enumerate(keys):
        whole = ".".join(map(str, keys[position:]))
        if isinstance(value, dict) and key not in value and whole in value:
            return (*keys[:position], whole)
        there = key in value if isinstance(value, dict) else isinstance(value, list) and key in range(len(value))
        value = value[key] if there else value
    return keys


def read(path: Path) -> Source:
    """The YAML file at ``path``.

    Raises:
        InputError: there is no such file, it is not YAML, or a key is in it twice.
    """
    loader = _loader(path)
    try:
        tree = loader.get_single_node()
        if tree is not None:
            _refuse_duplicates(tree, path)
        values = loader.construct_document(tree) if tree is not None else None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, error) from None
    finally:
        loader.dispose()
    return Source(path, values, tree)


def _loader(path: Path) -> yaml.SafeLoader:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        fix = nearest(path.name, siblings) if siblings else "give the path of a study's YAML file"
        raise InputError("there is no such file", where=str(path), fix=fix) from None
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8 text", where=str(path), fix="a study is a YAML file") from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    try:
        return yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        raise InputError(
            f"the file is not text: {error.reason}", where=str(path), fix="a study is a YAML file"
        ) from None


def _syntax_error(path: Path, error: yaml.MarkedYAMLError) -> InputError:
    mark = error.problem_mark or error.context_mark
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    reason = " ".join(part for part in (error.context, error.problem) if part)
    tab = "\\t" in reason
    return InputError(
        f"the file is not valid YAML: {reason}",
        where=place,
        fix="indent with spaces, not tabs" if tab else "look at this line and the one above: indent, colon, brackets",
    )


def _refuse_duplicates(tree: yaml.Node, path: Path) -> None:
    for mapping in _mappings(tree):
        seen: dict[str, int] = {}
        for key in (name for name, _ in mapping.value if isinstance(name, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in seen:
                raise InputError(
                    f"the key `{key.value}` is given twice, on lines {seen[key.value]} and {line}",
                    where=f"{path}:{line}",
                    fix="keep one of them",
                )
            seen[key.value] = line


def _mappings(tree: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping of the file once; an alias may point back at its own parent."""
    queue, seen = [tree], {id(tree)}
    while queue:
        node = queue.pop()
        if isinstance(node, yaml.MappingNode):
            yield node
        for child in _children(node):
            if id(child) not in seen:
                seen.add(id(child))
                queue.append(child)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _step(node: yaml.Node | None, key: str | int) -> tuple[int, yaml.Node] | None:
    """The line of a key or position of a node, and the node found there."""
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        child = node.value[key]
        return child.start_mark.line + 1, child
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return name.start_mark.line + 1, value
    return None
