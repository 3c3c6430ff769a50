"""The runs of a study as MLflow tells them, read without any of our code."""

from __future__ import annotations

from typing import Any

from orchestrator.store.target import Target


class Runs:
    """What MLflow itself says of a study."""

    def __init__(self, target: Target) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=target.uri)
        experiment = self.client.get_experiment_by_name(target.experiment)
        found = self.client.search_runs([experiment.experiment_id])
        self.parents = [run for run in found if run.data.tags["stage"] == "study"]
        self.cells = {run.data.tags["cell_id"]: run for run in found if "cell_id" in run.data.tags}
        self.trials = {int(run.data.tags["trial"]): run for run in found if "trial" in run.data.tags}
        self.count = len(found)

    def curve(self, cell: str, key: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in self.client.get_metric_history(self.cells[cell].info.run_id, key))

    def inputs(self, cell: str) -> list[Any]:
        """The data sets of a cell's run, by name."""
        return sorted(self.cells[cell].inputs.dataset_inputs, key=lambda each: each.dataset.name)

    def content(self) -> dict[str, Any]:
        """Everything that must be the same whenever and however often the ledger was mirrored."""
        ours = {"mlflow.parentRunId"}
        return {
            cell: (
                run.info.status,
                run.info.run_name,
                run.data.params,
                run.data.metrics,
                {key: value for key, value in run.data.tags.items() if key not in ours},
                {key: self.curve(cell, key) for key in run.data.metrics},
                [(each.dataset.to_dictionary(), each.tags[0].value) for each in self.inputs(cell)],
            )
            for cell, run in self.cells.items()
        }
