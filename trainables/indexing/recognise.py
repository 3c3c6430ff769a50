"""Which layout a data folder has: the one that recognises it."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from trainables.errors import InputError
from trainables.registry import LAYOUTS

_SHOWN = 8
_COUNTED = 1_000


def recognise(root: Path) -> str:
    """The registry name of the layout that a folder has.

    Raises:
        InputError: there is no such folder; no layout recognises it, and the message shows what is in it and the
            layouts there are; or several do.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), fix="correct the path; it is relative to the study's file")
    names = [name for name, entry in LAYOUTS.items() if entry.load().recognises(root)]
    if len(names) == 1:
        return names[0]
    if names:
        problem = f"this folder may have one of several layouts: {', '.join(names)}"
        raise InputError(problem, where=str(root), fix=f"say which: `layout: {names[0]}`, or `--layout {names[0]}`")
    known = "".join(f"\n  {name}: {entry.summary}" for name, entry in LAYOUTS.items())
    problem = f"no known layout\nin this folder:{_outline(root)}\nlayouts:{known}"
    fix = "say `layout: <name>`, or `--layout <name>`, if it is one of these; else list its images: `layout: manifest`"
    raise InputError(problem, where=str(root), fix=fix)


def _outline(root: Path) -> str:
    """What is in a folder, and in its folders: a line each, folders first, cut where there are many."""
    folders, files = _entries(root)
    lines = []
    for name in folders[:_SHOWN]:
        within, others = _entries(root / name)
        inside = _some([f"{inner}/" for inner in within] + others)
        lines.append(f"{_shown(name)}/: {inside}")
    lines += ["and more folders"] if len(folders) > _SHOWN else []
    lines += [_some(files)] if files or not folders else []
    return "".join(f"\n  {line}" for line in lines)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of folders and of files, hidden ones left out, of the first so many entries."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, entry.is_dir()) for entry in islice(entries, _COUNTED) if entry.name[0] != "."]
    except OSError:
        return [], []
    return sorted(name for name, folder in seen if folder), sorted(name for name, folder in seen if not folder)


def _some(names: list[str]) -> str:
    """The first names, and whether there are more."""
    if not names:
        return "nothing"
    return ", ".join(_shown(name) for name in names[:3]) + (" and more" if len(names) > 3 else "")


def _shown(name: str) -> str:
    """A name on one line, whatever is in it."""
    return repr(name)[1:-1]
