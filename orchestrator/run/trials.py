"""The trials of one tuning, kept by Optuna: what is tried next, and what came of it.

A trial that was asked for and not told when its driver died is asked for again under its own number, with the
parameters that it had: none is lost, and none is counted twice.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan.cells import Cell, CellId, digest
from orchestrator.plan.tuned import base_parameters, settings, trial_of
from orchestrator.run.optuna_parts import evenly, journal
from orchestrator.study.spaces import suggestion
from search_spaces import Trial

if TYPE_CHECKING:
    import optuna

JOURNAL = "trials.journal"
"""Optuna's own file, in the tuning's folder."""
REASON = "reason"
"""A trial's note of why it failed."""
FEW = 4
"""Complete trials below which nothing is said of how much a parameter matters."""
TOP = 0.25
"""Of the complete trials: PED-ANOVA compares where these lie with where all do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial to be made.

    Attributes:
        number: from 0, in the order in which they were asked for.
        cells: its model, and what judges that.
        again: it was asked for by a driver that died.
    """

    number: int
    cells: tuple[Cell, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A trial that has ended.

    Attributes:
        state: ``complete``, ``stopped`` or ``failed``, as in ``store.tables.TRIALS``.
        value: larger is better; None of one that failed.
        parameters: by dotted name, those of the space alone.
        chosen: all parameters of the member; None where it does not take them.
        cell: its model.
        epochs: that it told of before it was stopped.
        seconds: from asking to telling.
    """

    number: int
    state: str
    value: float | None
    parameters: Mapping[str, Any]
    chosen: Mapping[str, Any] | None
    cell: CellId | None
    epochs: int
    started: float
    seconds: float
    reason: str


class Trials:
    """One Optuna study: of one tuning in one storage.

    Args:
        tune: the tuning's cell; everything that is asked follows from it and from what is told.
        folder: of the tuning, with the journal if there is no database.
        database: of all tunings.
        anew: forget what is there, of a search that failed.
    """

    def __init__(self, tune: Cell, folder: Path, database: optuna.storages.RDBStorage | None, *, anew: bool) -> None:
        optuna = _optuna()
        self.tune = tune
        self._settings = settings(tune)
        # Two storages in one database are two searches: each has its own models, and its own driver.
        name = f"{tune.name} {digest([tune.id, str(folder)]) if database else tune.id}"
        storage = database or journal(folder / JOURNAL, anew=anew)
        if anew and name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=name, storage=storage)
        stops = self._settings["scheduler"] == "asha"
        self._study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction="maximize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1) if stops else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._live: dict[int, Any] = {}
        self.interrupted = [trial.number for trial in self._all() if not trial.state.is_finished()]
        self.best = max((trial.value for trial in self._complete() if trial.value is not None), default=None)

    @property
    def wanted(self) -> int:
        """How many trials the tuning has."""
        return int(self._settings["trials"])

    @property
    def left(self) -> int:
        """How many have not been asked for, those of a driver that died among them."""
        return self.wanted - len(self._all()) + len(self.interrupted)

    @property
    def ended(self) -> int:
        """How many have been told."""
        return sum(trial.state.is_finished() for trial in self._all())

    def ask(self) -> Asked | None:
        """The next trial; None where the member does not take what was suggested, and the trial has failed."""
        if self.interrupted:
            return self._asked(self.interrupted.pop(0), again=True)
        return self._asked(len(self._all()), again=False)

    def _asked(self, number: int, *, again: bool) -> Asked | None:
        optuna = _optuna()
        # Seeded by the trial: the same is suggested after an interruption, wherever it came.
        self._study.sampler = self._sampler(number)
        trial = optuna.Trial(self._study, self._all()[number]._trial_id) if again else self._study.ask()
        self._live[number] = trial
        try:
            return Asked(number, trial_of(self.tune, self._suggested(trial)), again)
        except ValueError as error:
            self.fail(number, f"{type(error).__name__}: {error}")
            return None

    def _suggested(self, trial: Trial) -> dict[str, Any]:
        return suggestion(self.tune.method, base_parameters(self.tune), self._settings["space"], trial)

    def behind(self, number: int, epoch: int, value: float) -> bool:
        """Note a figure of a trial's epoch; whether the trial is so far behind others that it should be stopped.

        The others are those that have come as far; what counts is the best epoch so far.
        """
        trial = self._live[number]
        before = self._all()[number].intermediate_values
        if not math.isfinite(value) or epoch <= max(before, default=0):  # told again by another worker
            return False
        trial.report(max([value, *before.values()]), epoch)
        return bool(trial.should_prune())

    def complete(self, number: int, value: float) -> None:
        """A trial has a value; one that is no number is a failure."""
        if not math.isfinite(value):
            self.fail(number, f"its value is {value}")
            return
        self._tell(number, value)
        self.best = value if self.best is None else max(self.best, value)

    def fail(self, number: int, reason: str) -> None:
        """A trial has no value."""
        self._live[number].set_user_attr(REASON, reason)
        self._tell(number, state=_optuna().trial.TrialState.FAIL)

    def stop(self, number: int) -> None:
        """A trial was stopped at the epoch that it told last."""
        self._tell(number, state=_optuna().trial.TrialState.PRUNED)

    def stop_like(self, number: int, other: int) -> None:
        """A trial with the parameters of one that was stopped."""
        values = self._all()[other].intermediate_values
        for epoch, value in values.items():
            self._live[number].report(value, epoch)
        self.stop(number)

    def _tell(self, number: int, value: float | None = None, **state: Any) -> None:
        self._study.tell(self._live.pop(number), value, **state)

    def told(self) -> list[Told]:
        """Every trial that has ended, by number."""
        return [self._told(trial) for trial in self._all() if trial.state.is_finished()]

    def _told(self, trial: optuna.trial.FrozenTrial) -> Told:
        chosen, cell = self._chosen(trial)
        assert trial.datetime_start
        assert trial.datetime_complete
        return Told(
            number=trial.number,
            state={"COMPLETE": "complete", "PRUNED": "stopped"}.get(trial.state.name, "failed"),
            value=trial.value,
            parameters=trial.params,
            chosen=chosen,
            cell=cell,
            epochs=trial.last_step or 0,
            started=trial.datetime_start.timestamp(),
            seconds=(trial.datetime_complete - trial.datetime_start).total_seconds(),
            reason=trial.user_attrs.get(REASON, ""),
        )

    def _chosen(self, trial: optuna.trial.FrozenTrial) -> tuple[dict[str, Any] | None, CellId | None]:
        try:
            chosen = self._suggested(trial)
        except ValueError:
            return None, None
        return chosen, trial_of(self.tune, chosen)[0].id

    def _complete(self) -> list[optuna.trial.FrozenTrial]:
        return [trial for trial in self._all() if trial.state.name == "COMPLETE"]

    def importances(self) -> dict[str, float]:
        """Share of every parameter in what makes a trial good, together 1; none of few trials, or of equal ones.

        PED-ANOVA (Watanabe et al., 2023): how differently the values of the best trials lie from those of all.
        """
        optuna = _optuna()
        complete = self._complete()
        if len(complete) < FEW or len({trial.value for trial in complete}) == 1:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=TOP)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
            except UserWarning:  # the best ones are all of them, or there is one value of every parameter
                return {}
        return {name: float(share) for name, share in found.items() if math.isfinite(share)}

    def _all(self) -> list[optuna.trial.FrozenTrial]:
        trials: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def _sampler(self, number: int) -> Any:
        samplers = _optuna().samplers
        seed = int(digest([self.tune.id, number])[:8], 16)
        match self._settings["sampler"]:
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "qmc":
                # One sequence for all trials: Optuna counts along it.
                return evenly(self._settings["space"], seed=int(digest(self.tune.id)[:8], 16))
            case _:
                return samplers.TPESampler(seed=seed)


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
