"""A study with its images, its plan and its store: what the command line and a notebook use.

>>> from orchestrator.campaign import Campaign
>>> campaign = Campaign.open("studies/smoke.yaml")
>>> campaign.run()                # doctest: +SKIP
>>> campaign.results()            # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.images import Found, StudyImages
from orchestrator.plan.cells import CellId, Stage, digest
from orchestrator.plan.cost import StageCost, costs
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan, pending, select
from orchestrator.plan.outside import require_scores
from orchestrator.plan.tuned import resolved
from orchestrator.run.place import Place
from orchestrator.run.provenance import provenance
from orchestrator.standing import CheckReport, StatusReport, standing
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.chosen import chosen
from orchestrator.store.ledger import Ledger
from orchestrator.store.lock import DriverLock
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Record, Status
from orchestrator.store.run_view import marks
from orchestrator.store.state import LiveState, read_state
from orchestrator.store.storage import check_storage, open_storage
from orchestrator.store.target import Target
from orchestrator.study.inputs import at, content_name, input_files
from orchestrator.study.load import dump_study, load_study, require_files
from orchestrator.study.model import Study
from trainables.errors import InputError
from trainables.writing import remove_temporaries, write_bytes, write_json

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.run.driver import RunSummary
    from orchestrator.run.listen import Listener
    from reports.page import ReportPaths

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
        self.images = StudyImages(study, self.storage / "indexes")
        folders = [folder.root for folder in study.data]
        self.target = Target.of(study.name, self.storage, study.tracking.uri, study.tracking.experiment, folders)

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
        facts = [f"study `{self.study.name}` is valid", *self._image_facts(), *self._preprocess_facts()]
        plan = self.plan()
        self._require_buildable(plan)
        facts.append(f"cells: {len(plan)}: " + ", ".join(f"{n} {stage.value}" for stage, n in plan.stages().items()))
        done = sum(record.status is Status.DONE for record in self.records())
        facts.append(f"storage: {self.storage}, {done} of these cells are done")
        return CheckReport(tuple(facts))

    def _image_facts(self) -> Iterator[str]:
        catalogue = self.images.catalogue
        families = [f"{name} ({catalogue.family(name)})" for name in (*catalogue.reals, *catalogue.fakes)]
        if folder := self.images.to_be_made:
            yield f"images: `run` makes the benchmark `{folder.benchmark}` at {folder.root}, of {', '.join(families)}"
            return
        manifest = self.images.manifest
        yield f"images: {len(manifest.usable)} in {', '.join(map(str, manifest.roots))}, of {', '.join(families)}"
        see = "orchestrator data show STUDY lists them"
        if converted := len(manifest.notes):
            yield f"  converted on reading: {converted}: {see}"
        if skipped := len(manifest.problems):
            yield f"  left out, or no usable image: {skipped}: {see}"

    def _preprocess_facts(self) -> Iterator[str]:
        """Which detectors see the images in ways of their own."""
        for detector in self.study.detectors:
            if (own := self.study.preprocess_of(detector)) != self.study.preprocess:
                yield f"preprocess of {detector.name}: {own.model_dump_json(exclude_none=True)}"

    @cached_property
    def _found(self) -> Found | None:
        return Found.load(self._found_file)

    @property
    def _found_file(self) -> Path:
        return self.folder / "images.json"

    def _keep_found(self) -> None:
        """Note what the plan was made from: workers read that, and status and report need nothing else."""
        manifest, inputs = self.images.manifest, {}
        for detector in self.study.detectors:
            for key, path in input_files(detector.config):
                inputs[str(path)] = content_name(path, key)
                kept = self.place().inputs / inputs[str(path)]
                if not kept.exists():
                    write_bytes(kept, path.read_bytes())
        Found(self.images.catalogue, self.images.unusable, inputs).save(self._found_file)
        manifest.save(self.place().index)
        for earlier in ("_found", "_laid_out"):
            vars(self).pop(earlier, None)

    @property
    def _planned(self) -> Plan:
        """The plan of the last run, or of the images as they are if there was none, as far as tunings have chosen."""
        return self._resolved(self._laid_out)

    def _resolved(self, plan: Plan) -> Plan:
        return resolved(plan, chosen(self.ledger().values())) if Stage.TUNE in plan.stages() else plan

    @cached_property
    def _laid_out(self) -> Plan:
        found = self._found
        if found is None:
            return self._plan
        detectors = tuple(
            detector.model_copy(update={"config": at(detector.config, found.inputs, self.place().inputs)})
            for detector in self.study.detectors
        )
        return expand(self.study.model_copy(update={"detectors": detectors}), found.catalogue)

    def plan(self, only: Sequence[str] = ()) -> Plan:
        """The study's cells; those matching ``only`` and what they need, if it is given.

        What is found out about the images is kept in the storage.

        Raises:
            InputError: the data do not have what the study asks for, or no cell matches.
        """
        whole = self._resolved(self._plan)
        if not self.images.to_be_made:
            require_scores(self.study, self.images.catalogue, self.images.manifest)
        selected = select(whole, only)
        if not len(selected):
            example = list(whole)[-1].name
            raise InputError("no cell matches", where="--only", value=list(only), fix=f"cells look like {example}")
        return selected

    def _require_buildable(self, plan: Plan) -> None:
        from orchestrator.run.building import require_buildable

        done = (record.cell for record in self.ledger().values() if record.status is Status.DONE)
        require_buildable(self.study, pending(plan, done))

    @property
    def _plan(self) -> Plan:
        return expand(self.study, self.images.catalogue)

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
        on_reading: Callable[[int, int], None] | None = None,
    ) -> RunSummary:
        """Run what the ledger does not hold yet, and write the report.

        Args:
            only: shell patterns of cell names.
            executor: ``serial`` runs everything in this process.
            address: of a Ray cluster; a local Ray if not given.
            retry_failed: run failed cells again.
            listeners: told of everything that happens.
            on_images: told how many of the benchmark's images are made.
            on_reading: told how many new images are read; on Ray if they are many, and Ray is the executor.

        Raises:
            InputError: the study, its data or its storage cannot be used, or another driver is at work in it.
        """
        from orchestrator.run.indexing import examine_where_it_pays
        from orchestrator.run.serial import require_one_worker

        require_files(self.study)
        if executor == "serial":
            require_one_worker(self.study.resources)
        self.images.make(on_images)
        self.images.read_with(None if executor == "serial" else examine_where_it_pays(address), on_reading)
        plan = self.plan(only)  # first: a study that cannot be planned leaves no trace but the index of its images
        self._require_buildable(plan)
        open_storage(self.storage)
        with DriverLock(self.storage, self.study.name) as lock:
            if lock.died:
                _log.warning("driver pid %s on %s ended without a word; going on from the ledger", *_who(lock.died))
            remove_temporaries(self.folder)
            write_bytes(self.folder / "study.yaml", dump_study(self.study).encode())
            self._keep_found()
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
        run = Run(
            plan,
            self.place(),
            ledger,
            self.study.resources,
            listeners=listeners,
            retry_failed=retry_failed,
            trials=self.study.trials.uri,
        )
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
        ways = len(set(map(self.study.preprocess_of, self.study.detectors)))
        return Place(
            storage=self.storage,
            # The run's own: another command may bring the shared index up to date while cells of this plan run.
            index=self.folder / "index.parquet",
            cache=self.study.cache.folder or self.storage / "cache",
            budget=self.study.cache.gigabytes * 1e9 / ways,
            provenance=tuple(provenance().items()),
        )

    @property
    def folder(self) -> Path:
        """The study's own folder in the storage: its resolved YAML, live state and report."""
        return self.storage / "studies" / self.study.name

    def status(self) -> StatusReport:
        """How the study stands now."""
        return standing(self._planned, self.records(), read_state(self.storage, self.study.name))

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
            unusable=self._found.unusable if self._found else (),
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
        planned, ledger = self._planned, self.ledger()
        return [ledger[cell.id] for cell in planned if cell.id in ledger]

    def results(self) -> pd.DataFrame:
        """One row a finished score cell of this study: its place in the grid, then every metric."""
        from orchestrator.store.tables import results_frame

        return results_frame(self.records(), {cell.id: cell.tags for cell in self._planned})

    def cells(self) -> pd.DataFrame:
        """One row a cell that has ended, whatever its stage: how it ended, what it cost, and why it failed."""
        from orchestrator.store.tables import cells_frame

        return cells_frame(self.records(), {cell.id: cell.tags for cell in self._planned})
