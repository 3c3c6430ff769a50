"""What Optuna is put together from: where it keeps trials, and a sampler that it lacks."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.study.checks import without_password
from trainables.errors import InputError

if TYPE_CHECKING:
    import optuna


def connected(uri: str) -> optuna.storages.RDBStorage:
    """The database of all tunings.

    Raises:
        InputError: it does not answer; the message shows no password.
    """
    from optuna.storages import RDBStorage

    try:
        return RDBStorage(uri)
    except Exception as error:  # noqa: BLE001 (of whatever driver the database has)
        reason = without_password(str(error)).strip().partition("\n")[0]
        fix = "start it, or leave `trials.uri` out: then a file in the storage keeps the trials"
        raise InputError(
            f"the database of trials cannot be used: {reason}",
            where="trials.uri",
            value=without_password(uri),
            fix=fix,
        ) from None


def journal(path: Path, *, anew: bool) -> optuna.storages.JournalStorage:
    """Optuna's file, with neither its lock nor its fsync.

    The storage has one driver, and a lock file of a dead one would be waited for. What a power cut takes from the
    file is asked for again, in the same way, and the ledger knows what came of it.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
            with path.open("ab") as file:
                file.write("".join(lines).encode())

    if anew:
        path.unlink(missing_ok=True)
    elif path.exists():
        _cut(path)
    return JournalStorage(Journal(str(path)))


def _cut(path: Path) -> None:
    """Cut the file off before the first line that a power cut has spoilt."""
    content = path.read_bytes()
    good = 0
    for line in content.splitlines(keepends=True):
        if not (line.endswith(b"\n") and _is_json(line)):
            break
        good += len(line)
    if good < len(content):
        os.truncate(path, good)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def evenly(space: Mapping[str, Any], seed: int) -> Any:
    """Optuna's sampler of a scrambled Sobol sequence, over the whole space from the first trial on.

    Left to itself it learns the space from the first complete trial, and asks for the same until there is one.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers import QMCSampler

    def distribution(each: Mapping[str, Any]) -> Any:
        if "choices" in each:
            return CategoricalDistribution(each["choices"])
        kind = IntDistribution if each["integer"] else FloatDistribution
        return kind(each["low"], each["high"], log=each["log"], step=each["step"])

    axes = {name: found for name in sorted(space) if not (found := distribution(space[name])).single()}

    class Evenly(QMCSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return axes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental since Optuna 3, and the same since
        return Evenly(scramble=True, seed=seed)
