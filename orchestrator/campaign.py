"""A study with its images, its plan and its store: what the command line and a notebook use.

>>> from orchestrator.campaign import Campaign
>>> campaign = Campaign.open("studies/smoke.yaml")
>>> campaign.run()                # doctest: +SKIP
>>> campaign.results()            # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import CellId, Stage, digest
from orchestrator.plan.cost import StageCost, costs
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan, pending, select
from orchestrator.run.place import Place
from orchestrator.run.provenance import provenance
from orchestrator.standing import CheckReport, StageStatus, StatusReport
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.ledger import Ledger
from orchestrator.store.lock import DriverLock
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Record, Status
from orchestrator.store.run_view import marks
from orchestrator.store.state import LiveState, read_state
from orchestrator.store.storage import check_storage, open_storage
from orchestrator.store.target import Target
from orchestrator.study.inputs import content_name, input_files
from orchestrator.study.load import dump_study, load_study, require_files
from orchestrator.study.model import Study
from trainables.errors import InputError
from trainables.writing import remove_temporaries, write_bytes, write_json

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.run.driver import RunSummary
    from orchestrator.run.listen import Listener
    from reports.page import ReportPaths
    from trainables.data.manifest import Manifest

Executor = Literal["ray", "serial"]

_log = logging.getLogger(__name__)


def _who(driver: Mapping[str, Any]) -> tuple[Any, Any]:
    return driver.get("pid"), driver.get("host")


class Campaign:
    """A study, its images, plan and store.

    Args:
        study: resolved; ``Campaign.open`` reads one from a file.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.storage = check_storage(study.storage)
        self.target = Target.of(study.name, self.storage, study.tracking.uri, study.tracking.experiment)

    @classmethod
    def open(cls, study: str | Path | Study) -> Campaign:
        """The campaign of a study's file.

        Raises:
            InputError: the file is no valid study.
        """
        return cls(study if isinstance(study, Study) else load_study(Path(study)))

    def check(self) -> CheckReport:
        """Whether the study can run: its images, its plan and its storage; writes no result.

        Raises:
            InputError: it cannot; the message says what to mend.
        """
        require_files(self.study)
        data = self.study.data
        facts = [f"study `{self.study.name}` is valid"]
        if data.benchmark and not data.root.exists():
            return CheckReport((*facts, f"images: `run` makes the benchmark `{data.benchmark}` at {data.root}"))
        manifest, plan = self.manifest, self.plan()
        facts.append(f"images: {len(manifest.usable)} in {data.root}, of " + ", ".join(self._generators()))
        if converted := len(manifest.notes):
            facts.append(f"  {converted} of them are converted on reading: orchestrator data show {data.root}")
        if skipped := len(manifest.problems):
            facts.append(f"  {skipped} files are no usable images and are skipped: orchestrator data show {data.root}")
        facts.append(f"cells: {len(plan)}: " + ", ".join(f"{n} {stage.value}" for stage, n in plan.stages().items()))
        done = sum(record.status is Status.DONE for record in self.records())
        facts.append(f"storage: {self.storage}, {done} of these cells are done")
        return CheckReport(tuple(facts))

    def _generators(self) -> list[str]:
        families = {name: self.catalogue.family(name) for name in (*self.catalogue.reals, *self.catalogue.fakes)}
        return [f"{name} ({family})" for name, family in families.items()]

    def make_images(self, progress: Callable[[int, int], None] | None = None) -> bool:
        """Make the study's procedural benchmark, if it asks for one that is not there; whether it did."""
        data = self.study.data
        if data.root.exists() or data.benchmark is None:
            return False
        from trainables.benchmark.make import make_benchmark

        make_benchmark(data.root, data.benchmark, progress=progress)
        return True

    @cached_property
    def manifest(self) -> Manifest:
        """Every image of the data folder, those that cannot be used marked as such.

        Raises:
            InputError: the folder is absent, has an empty class, or files that are no usable images.
        """
        from trainables.data.folder import admit

        return admit(self._indexed, self.study.data.unusable, self.study.image)

    @cached_property
    def _indexed(self) -> Manifest:
        """What is in the data folder; only files that are new or changed are read."""
        from trainables.data.folder import index_folder, known_index

        data = self.study.data
        if not data.root.exists():
            made = f"orchestrator data make {data.benchmark} {data.root}"
            raise InputError(
                "the data folder does not exist",
                where="data.root",
                value=str(data.root),
                fix=f"`orchestrator run` makes it, or: {made}" if data.benchmark else "put the images there",
            )
        return index_folder(data.root, splits=data.splits, known=known_index(self.index))

    @property
    def index(self) -> Path:
        """Where the data folder's index is kept from one command to the next."""
        return self.storage / "indexes" / f"{digest(str(self.study.data.root.absolute()))}.parquet"

    @cached_property
    def catalogue(self) -> Catalogue:
        """The image sets of the data folder."""
        return Catalogue(self.manifest.sets())

    @property
    def _catalogue_file(self) -> Path:
        return self.folder / "images.json"

    def _keep_catalogue(self) -> None:
        """Note what the plan was made from: workers read that, and status and report need no images."""
        unusable = self.manifest.problems[["path", "problem"]].values.tolist()
        write_json(self._catalogue_file, {"sets": self.catalogue.to_json(), "unusable": unusable})
        self.manifest.save(self.place().index)
        for earlier in ("_kept", "_planned"):
            vars(self).pop(earlier, None)

    def _keep_inputs(self) -> None:
        """Copy the files that the study names into the storage, where every worker finds them."""
        for detector in self.study.detectors:
            for key, path in input_files(detector.config):
                kept = self.place().inputs / content_name(path, key)
                if not kept.exists():
                    write_bytes(kept, path.read_bytes())

    @cached_property
    def _kept(self) -> dict[str, Any] | None:
        return json.loads(self._catalogue_file.read_bytes()) if self._catalogue_file.exists() else None

    @cached_property
    def _planned(self) -> Plan:
        """The plan of the last run, or of the images as they are if there was none."""
        return expand(self.study, Catalogue.from_json(self._kept["sets"])) if self._kept else self._plan

    def plan(self, only: Sequence[str] = ()) -> Plan:
        """The study's cells; those matching ``only`` and what they need, if it is given.

        If there are any, the index of the images is kept in the storage; else nothing is written.

        Raises:
            InputError: the data do not have what the study asks for, or no cell matches.
        """
        from trainables.data.folder import keep_index

        whole = self._plan
        chosen = select(whole, only)
        if not len(chosen):
            example = next(iter(whole)).name
            raise InputError("no cell matches", where="--only", value=list(only), fix=f"cells look like {example}")
        keep_index(self._indexed, self.index)
        return chosen

    @cached_property
    def _plan(self) -> Plan:
        return expand(self.study, self.catalogue)

    def ledger(self) -> Mapping[CellId, Record]:
        """The latest record of every cell in the storage, of whatever study."""
        return Ledger(self.storage).records()

    def estimate(self, plan: Plan | None = None) -> tuple[StageCost, ...]:
        """What is left, by stage, from what past cells took."""
        plan, records = plan or self.plan(), self.ledger()
        done = [record for record in records.values() if record.status is Status.DONE]
        past = [((Stage(r.stage), r.method, str(r.tags["detector"])), r.seconds) for r in done]
        return costs(plan, pending(plan, (record.cell for record in done)), past)

    def run(
        self,
        *,
        only: Sequence[str] = (),
        executor: Executor = "ray",
        address: str | None = None,
        retry_failed: bool = False,
        listeners: Sequence[Listener] = (),
        on_images: Callable[[int, int], None] | None = None,
    ) -> RunSummary:
        """Run what the ledger does not hold yet, and write the report.

        Args:
            only: shell patterns of cell names.
            executor: ``serial`` runs everything in this process.
            address: of a Ray cluster; a local Ray if not given.
            retry_failed: run failed cells again.
            listeners: told of everything that happens.
            on_images: told how many of the benchmark's images are made.

        Raises:
            InputError: the study, its data or its storage cannot be used, or another driver is at work in it.
        """
        from orchestrator.run.serial import require_one_worker

        require_files(self.study)
        if executor == "serial":
            require_one_worker(self.study.resources)
        self.make_images(on_images)
        plan = self.plan(only)  # before anything is written: a study that cannot be planned leaves no trace
        open_storage(self.storage)
        with DriverLock(self.storage, self.study.name) as lock:
            if lock.died:
                _log.warning("driver pid %s on %s ended without a word; going on from the ledger", *_who(lock.died))
            remove_temporaries(self.folder)
            write_bytes(self.folder / "study.yaml", dump_study(self.study).encode())
            self._keep_catalogue()
            self._keep_inputs()
            mirror = Mirror(self.target)
            state = LiveState(self.storage, self.study.name)
            try:
                summary = self._drive(plan, [*listeners, state, mirror], executor, address, retry_failed)
                self._show(mirror)
            finally:
                mirror.close()
        return summary

    def _drive(
        self, plan: Plan, listeners: Sequence[Listener], executor: Executor, address: str | None, retry_failed: bool
    ) -> RunSummary:
        from orchestrator.run.driver import Run
        from orchestrator.run.serial import run_serially

        ledger = Ledger(self.storage)
        ledger.compact()
        run = Run(plan, self.place(), ledger, self.study.resources, listeners=listeners, retry_failed=retry_failed)
        try:
            if executor == "serial":
                run_serially(run)
            else:
                from orchestrator.run.on_ray import run_on_ray

                run_on_ray(run, address)
        finally:
            for listener in listeners:
                listener.end()
        return run.summary()

    def _show(self, mirror: Mirror) -> None:
        """Bring the report, and the study's run in MLflow, up to date where they are not."""
        reported = self._is_reported()
        files = (
            [path for path in self.report_page.parent.rglob("*") if path.is_file()]
            if reported
            else self.report().files()
        )
        mirror.finish(self.records(), files, again=not reported)

    def place(self) -> Place:
        """Where workers find the study's images and leave their cells."""
        return Place(
            storage=self.storage,
            # The run's own: another command may bring the shared index up to date while cells of this plan run.
            index=self.folder / "index.parquet",
            cache=self.study.data.cache or self.storage / "cache",
            image=self.study.image,
            provenance=tuple(provenance().items()),
        )

    @property
    def folder(self) -> Path:
        """The study's own folder in the storage: its resolved YAML, live state and report."""
        return self.storage / "studies" / self.study.name

    def status(self) -> StatusReport:
        """How the study stands now."""
        plan, found = self._planned, self.records()
        state = read_state(self.storage, self.study.name)
        count = Counter((Stage(record.stage), record.status) for record in found)
        stages = tuple(
            StageStatus(stage, cells, *(count[stage, status] for status in Status))
            for stage, cells in plan.stages().items()
        )
        troubles = [record for record in found if record.status is not Status.DONE]
        return StatusReport(
            study=self.study.name,
            phase=state.phase.value if state else "idle",
            stages=stages,
            running=state.running if state else (),
            troubles=tuple(sorted(troubles, key=lambda record: record.status is Status.BLOCKED)),
        )

    @property
    def report_page(self) -> Path:
        """Where the report is, once there is one."""
        return self.folder / "report" / "report.html"

    def _made_of(self) -> str:
        """A digest of what the report is made of: the study, its cells, and how each of them stands."""
        return digest([self.study.model_dump(mode="json"), self._planned.hash, marks(self.records())])

    @property
    def _made_of_file(self) -> Path:
        return self.folder / "report.json"

    def _is_reported(self) -> bool:
        """Whether the report is there and up to date."""
        if not (self.report_page.exists() and self._made_of_file.exists()):
            return False
        reported: bool = json.loads(self._made_of_file.read_bytes()) == self._made_of()
        return reported

    def report(self, *, replay_tracking: bool = False) -> ReportPaths:
        """Rebuild the report from the store alone.

        Args:
            replay_tracking: also mirror every record to MLflow again, where it is not there any more.
        """
        from reports.page import build_report

        made_of = self._made_of()
        paths = build_report(
            self.study.model_dump(mode="json"),
            list(self._planned),
            self.ledger(),
            Artifacts(self.storage),
            self.report_page.parent,
            unusable=[(path, problem) for path, problem in self._kept["unusable"]] if self._kept else (),
        )
        write_json(self._made_of_file, made_of)
        if replay_tracking:
            with Mirror(self.target) as mirror:
                mirror.begin(self._planned, {})
                mirror.replay(self.records(), thorough=True)
                mirror.finish(self.records(), paths.files())
        return paths

    def records(self) -> list[Record]:
        """What the ledger holds of this study, in plan order."""
        ledger = self.ledger()
        return [ledger[cell.id] for cell in self._planned if cell.id in ledger]

    def results(self) -> pd.DataFrame:
        """One row a finished score cell of this study: its place in the grid, then every metric."""
        from orchestrator.store.tables import results_frame

        return results_frame(self.records(), {cell.id: cell.tags for cell in self._planned})

    def cells(self) -> pd.DataFrame:
        """One row a cell that has ended, whatever its stage: how it ended, what it cost, and why it failed."""
        from orchestrator.store.tables import cells_frame

        return cells_frame(self.records(), {cell.id: cell.tags for cell in self._planned})
