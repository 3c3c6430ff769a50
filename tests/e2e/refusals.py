"""What a command says when it refuses to start, and that it has written nothing."""

from __future__ import annotations

from pathlib import Path

from tests.orchestrator.cli.conftest import call


def refused(verb: str, file: Path) -> str:
    """The message of a command that is refused before anything is written but the index of the images.

    Args:
        verb: ``check``, ``plan`` or ``run``.
        file: a study whose storage is ``results`` beside it.
    """
    result = call(verb, file)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Traceback" not in result.stderr
    assert {path.name for path in (file.parent / "results").glob("*")} <= {"indexes"}
    return str(result.stderr)
