"""The report as a reader gets it: one page without a network, tables beside it, whole or unfinished."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Stage
from orchestrator.store.records import Failure
from reports.colours import shade
from reports.page import ReportPaths, build_report
from tests.reports.synthetic import GENERATORS, METHODS, Store

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Outline(HTMLParser):
    """What a page is made of: its references, ids, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def build(store: Store, out: Path, **more: Sequence[tuple[str, str]]) -> ReportPaths:
    return build_report(store.study, store.cells, store.records, store.artifacts, out, **more)


@pytest.fixture(scope="module")
def paths(shared_store: Store, tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    return build(shared_store, tmp_path_factory.mktemp("report"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def words(page: Path) -> str:
    """The page's text, without tags and runs of spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text("utf-8")))


def test_page_refers_to_nothing_outside_itself(paths: ReportPaths) -> None:
    text = paths.html.read_text("utf-8")
    outline = Outline(text)
    assert outline.references
    assert all(ref.startswith(("#", "data:")) for ref in outline.references)
    assert not re.search(r"url\((?!['\"]?#|['\"]?data:)|@import", text)
    assert "script" not in outline.tags


def test_page_is_well_formed_and_its_contents_lead_somewhere(paths: ReportPaths) -> None:
    outline = Outline(paths.html.read_text("utf-8"))
    assert outline.open == []
    links = {ref[1:] for ref in outline.references if ref.startswith("#")}
    assert links <= set(outline.ids)
    assert len(set(outline.ids)) == len(outline.ids)
    assert len(links) > 8


def test_same_store_gives_the_same_bytes(store: Store, paths: ReportPaths, tmp_path: Path) -> None:
    store.records = dict(reversed(store.records.items()))
    build(store, tmp_path / "again")
    assert files(tmp_path / "again") == files(paths.html.parent)


def test_matrices_come_first_with_every_entry_in_them(paths: ReportPaths) -> None:
    text = paths.html.read_text("utf-8")
    assert text.index('class="heat') < text.index('class="plain')
    assert text.count('<table class="heat') == 2 * (1 + len(METHODS))
    assert len(re.findall(r'<td class="value[^"]*" title', text)) == 2 * 5 * 16
    assert len(re.findall(r'<td class="value diagonal" title', text)) == 2 * 5 * 4


def test_headline_tells_the_failure_and_what_helps(paths: ReportPaths) -> None:
    said = words(paths.html)
    summary = pd.read_csv(paths.html.with_name("summary.csv")).fillna({"variant": ""})
    row = summary[(summary["adaptation"] == "source_only") & (summary["variant"] == "")].iloc[0]
    assert f"is right on {100 * row['in_dataset']:.1f} % of the test images" in said
    assert f"and on {100 * row['accuracy']:.1f} %" in said
    assert "dann helps most" in said


def test_no_method_is_praised_within_its_interval(make_store: Callable[..., Store], tmp_path: Path) -> None:
    store = make_store(generators=GENERATORS[:3], methods=("recalibrate", "adabn"), corruptions=(), images=12)
    for cell in store.find(Stage.SCORE, adaptation="adabn"):
        (twin,) = store.find(
            Stage.SCORE, adaptation="recalibrate", source=cell.tags.source, target=cell.tags.target, test=cell.tags.test
        )
        if cell.tags.test == cell.tags.target:
            ours, theirs = (store.artifacts.folder(c.id) / "scores.parquet" for c in (cell, twin))
            ours.write_bytes(theirs.read_bytes())
    page = build(store, tmp_path / "report").html
    none = "No method beats both the source detector and moving the threshold alone (recalibrate) beyond its 95 %"
    assert none in words(page)


def test_tables_beside_the_page_hold_what_it_shows(paths: ReportPaths) -> None:
    results = pd.read_csv(paths.results_csv)
    assert len(results) == len(pd.read_parquet(paths.results_parquet)) == 52 * 4 * 2
    assert results["plan"].nunique() == 1
    assert len(paths.matrices) == 5 * 2
    matrix = pd.read_csv(next(p for p in paths.matrices if p.name == "matrix_residual_cnn_dann_auroc.csv"), index_col=0)
    entry = results[
        (results["adaptation"] == "dann") & results["matrix"] & results["variant"].isna()
        & (results["source"] == "tconv") & (results["test"] == "nearest")
    ]  # fmt: skip
    assert matrix.loc["tconv", "nearest"] == pytest.approx(entry["auroc"].item())
    assert f">{entry['auroc'].item():.2f}<" in paths.html.read_text("utf-8")
    gains = pd.read_csv(paths.gains_csv)
    assert set(gains["baseline"]) == {"source_only", "recalibrate"}


def test_every_file_is_named(paths: ReportPaths) -> None:
    assert sorted(paths.files()) == sorted(path for path in paths.html.parent.rglob("*") if path.is_file())


def test_figures_are_files_of_their_own(paths: ReportPaths) -> None:
    names = {path.name for path in paths.figures}
    assert names == {f"{name}_residual_cnn.svg" for name in ("matrix", "gains", "ranks", "curves", "attack_pgd")}
    for path in paths.figures:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_methods_are_compared_with_the_oracle_apart(compared_store: Store, tmp_path: Path) -> None:
    study = compared_store.study | {"seeds": [0, 1, 2]}
    cells, records, artifacts = compared_store.cells, compared_store.records, compared_store.artifacts
    paths = build_report(study, cells, records, artifacts, tmp_path)
    text, said = paths.html.read_text("utf-8"), words(paths.html)
    assert text.count('<table class="heat oracle"') == 2
    assert "Intervals hold over 3 seeds and over test images." in said
    assert "Of the methods without labels of the target, dann helps most" in said
    assert "gains over both; reads target labels" in said
    assert '<th scope="col" class="oracle">oracle</th>' in text
    assert len(pd.read_csv(tmp_path / "recovery.csv")) == 4 * 13
    assert list(pd.read_csv(tmp_path / "comparison.csv")["adaptation"].unique()) == [
        "few_shot",
        "dann",
        "coral",
        "recalibrate",
    ]
    assert Outline(text).open == []


def test_alarms_are_counted_at_the_top_and_told_with_their_cells(
    store: Store, paths: ReportPaths, tmp_path: Path
) -> None:
    assert "alarms:" not in words(paths.html)
    for cell in store.find(Stage.ADAPT, adaptation="dann", source="tconv"):
        curves = tuple({**row, "discriminator_accuracy": 1.0} for row in store.records[cell.id].curves)
        store.records[cell.id] = replace(store.records[cell.id], curves=curves)
    said = words(build(store, tmp_path / "report").html)
    assert "3 alarms : 3 discriminator degenerate." in said
    assert "adapt/residual_cnn/tconv/nearest/dann/seed0 discriminator_accuracy 1.00 in the last epoch" in said
    alarms = pd.read_csv(tmp_path / "report" / "alarms.csv")
    assert (alarms["level"] == "alarm").sum() == 3


def test_rules_stand_side_by_side_in_their_section_alone(judged_store: Store, tmp_path: Path) -> None:
    paths = build(judged_store, tmp_path / "report")
    text, said = paths.html.read_text("utf-8"), words(paths.html)
    outline = Outline(text)
    assert outline.open == []
    assert "d1-validation" in outline.ids
    assert "#d1-validation" in outline.references
    assert '<th scope="col" class="oracle">oracle</th>' in text
    assert "Adapted checkpoints chosen by im; source detectors by source_val." in said
    assert "Labels of the target chose every" not in said
    assert "is reported where the study names several" not in said
    frames = {name: pd.read_csv(tmp_path / "report" / f"{name}.csv") for name in ("checkpoints", "selection")}
    assert {"im", "snd", "oracle"} <= set(frames["checkpoints"].columns)
    accuracy = frames["selection"].query("among == 'epochs' and adaptation == 'coral' and scope == 'mean'")
    assert f">{accuracy.set_index('rule').loc['im', 'accuracy']:.3f}<" in text
    assert "validators_residual_cnn.svg" in {path.name for path in paths.figures}


def test_where_one_rule_is_named_the_page_says_how_to_see_others(paths: ReportPaths) -> None:
    text = paths.html.read_text("utf-8")
    assert "d1-validation" not in text
    assert "<code>selection: [source_val, im, …]</code>" in text


def test_choice_by_labels_is_said_at_the_top(make_store: Callable[..., Store], tmp_path: Path) -> None:
    shape = {"generators": GENERATORS[:2], "corruptions": (), "images": 10, "looked_at": False}
    store = make_store(methods=("coral", "oracle"), rules=("oracle", "source_val"), **shape)
    page = build(store, tmp_path / "report").html
    assert "Labels of the target chose every adapted detector (rule oracle )" in words(page)
    assert "Of the methods without labels" not in words(page)
    assert "chosen by oracle, that is by labels of the target: an upper bound" in words(page)
    assert '<table class="heat oracle"' not in page.read_text("utf-8")


def test_page_of_judged_cells_of_which_nothing_is_done(make_store: Callable[..., Store], tmp_path: Path) -> None:
    shape = {"generators": GENERATORS[:2], "corruptions": (), "images": 10, "looked_at": False}
    store = make_store(methods=("coral",), rules=("im", "source_val"), **shape)
    store.drop(store.cells)
    assert "has no scores yet" in words(build(store, tmp_path / "report").html)


def test_one_seed_is_said_to_be_one(paths: ReportPaths) -> None:
    assert "There is one seed: intervals hold over test images only, not over trainings." in words(paths.html)


def test_unfinished_grid_says_how_far_it_is_and_shows_holes(store: Store, tmp_path: Path) -> None:
    dropped = [c for c in store.cells if c.tags.adaptation == "coral" and c.tags.source == "tconv"]
    store.drop(dropped)
    page = build(store, tmp_path / "report").html
    assert f"{len(store.cells) - len(dropped)} of {len(store.cells)} cells done." in words(page)
    assert page.read_text("utf-8").count('<td class="pending"') == 2 * 3


def test_report_of_a_study_of_which_nothing_is_done(store: Store, tmp_path: Path) -> None:
    store.drop(store.cells)
    paths = build(store, tmp_path / "report")
    assert f"0 of {len(store.cells)} cells done." in words(paths.html)
    assert "has no scores yet" in words(paths.html)
    assert len(pd.read_csv(paths.results_csv)) == 52 * 4 * 2


def test_failures_are_told_with_their_traceback_and_what_they_block(store: Store, tmp_path: Path) -> None:
    failed = store.find(Stage.ADAPT, adaptation="dann", source="tconv", target="nearest")[0]
    store.fail(failed)
    page = build(store, tmp_path / "report").html
    text = page.read_text("utf-8")
    assert "loss is &lt;nan&gt;" in text
    assert "Traceback:\n  boom" in text
    assert text.count('<td class="blocked"') == 2
    assert f"blocked: {failed.name}" in text


def test_what_comes_from_outside_is_escaped(store: Store, tmp_path: Path) -> None:
    attack = '"><script>alert(1)</script>'
    failed = store.find(Stage.ADAPT, adaptation="dann")[0]
    store.fail(failed)
    failure = Failure(kind=attack, message=attack, traceback=attack)
    store.records[failed.id] = replace(store.records[failed.id], failure=failure, node=attack)
    study = store.study | {"description": attack}
    paths = build_report(
        study, store.cells, store.records, store.artifacts, tmp_path / "report", unusable=[(attack, attack)]
    )
    outline = Outline(paths.html.read_text("utf-8"))
    assert "script" not in outline.tags
    assert attack in words(paths.html).replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')


def test_unequal_classes_and_skipped_files_are_pointed_out(store: Store, paths: ReportPaths, tmp_path: Path) -> None:
    assert "accuracy favours" not in words(paths.html)
    for path in (store.root / "cells").rglob("scores.parquet"):
        table = pd.read_parquet(path)
        path.unlink()
        table[(table["label"] == 0) | (table.index % 4 == 0)].to_parquet(path)
    page = build(store, tmp_path / "report", unusable=[("fake/tconv/3.png", "a text file")]).html
    assert "accuracy favours the larger class" in words(page)
    assert "1 file was skipped" in words(page)


@pytest.mark.parametrize("value", np.linspace(0, 1, 41))
def test_numbers_can_be_read_on_their_colour(value: float) -> None:
    """Contrast of 4.5 and more, WCAG 2 level AA."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(colour) for colour in shade(value)), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5
