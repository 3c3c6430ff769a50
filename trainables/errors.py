"""Errors that are the user's to mend, and the one that guards the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave cannot be used; the command line prints it and exits with code 2.

    Args:
        problem: what is wrong, one sentence.
        where: the file, and for a study the key path (``studies/demo.yaml: data.root``).
        value: what was found there, shown as it is.
        fix: what to do about it, one sentence.
    """

    def __init__(self, problem: str, *, where: str | None = None, value: object = None, fix: str | None = None) -> None:
        self.problem, self.where, self.value, self.fix = problem, where, value, fix
        lines = [f"{where}: {problem}" if where else problem]
        if value is not None:
            lines.append(f"  found: {value!r}")
        if fix:
            lines.append(f"  fix:   {fix}")
        super().__init__("\n".join(lines))

    def at(self, where: str) -> InputError:
        """The same error, told where it was found."""
        return InputError(self.problem, where=where, value=self.value, fix=self.fix)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from `args`; ours has keyword arguments, and crosses Ray's process borders.
        return (_rebuild, (self.problem, self.where, self.value, self.fix))


def _rebuild(problem: str, where: str | None, value: object, fix: str | None) -> InputError:
    return InputError(problem, where=where, value=value, fix=fix)


class LabelLeakError(RuntimeError):
    """A method asked for target labels that the protocol keeps from it."""


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint that names the closest known names, or all of them: ``did you mean 'dann'?``"""
    known = sorted(names)
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "choose from: " + ", ".join(known)
