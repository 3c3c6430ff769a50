"""What the audit of a data set found, in sentences: what makes results doubtful, and what is good to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.statistics import Estimate, mean
from reports.tables import MISSING, interval, number, percent
from trainables.auditing.audit import Findings
from trainables.auditing.shortcut import FEWEST, LEADS, Lead, Shortcut
from trainables.auditing.trivial import CALLED, SIZE

TOLD = 0.55
"""A fact whose AUROC alone is below this is not named among those that tell a generator from its reals."""

LARGE = 0.2
"""A group with more than this share of a generator's images is told."""

_EACH = 3
"""Up to so many flagged generators have a warning each."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The shortcut baseline of a generator as the page shows it."""

    shortcut: Shortcut
    estimate: Estimate | None

    @property
    def text(self) -> str:
        return number(self.estimate.value) if self.estimate else MISSING

    @property
    def ends(self) -> str:
        """Both ends of the interval."""
        return interval(self.estimate.low, self.estimate.high) if self.estimate else ""

    @property
    def may_be_chance(self) -> bool:
        """Whether the interval holds .5."""
        return self.estimate is not None and self.estimate.low <= 0.5 <= self.estimate.high

    @property
    def leads(self) -> tuple[Lead, ...]:
        """The facts that tell most, if they tell anything."""
        return tuple(lead for lead in self.shortcut.leads[:LEADS] if lead.auroc >= TOLD)


def mean_baseline(baselines: Mapping[str, Baseline], tests: Sequence[str]) -> tuple[Estimate | None, int]:
    """The mean of the test generators' shortcut baselines, and how many of these are known."""
    known = [estimate for _, estimate in _known(baselines, tests)]
    return (mean(known) if known else None), len(known)


def floor_words(baselines: Mapping[str, Baseline], tests: Sequence[str]) -> str:
    """What a detector is to be better than; blank where it is not known."""
    over, count = mean_baseline(baselines, tests)
    if over is None:
        return ""
    value, name = max((estimate.value, name) for name, estimate in _known(baselines, tests))
    of = f"the {count}" if count == len(tests) else f"{count} of {len(tests)}"
    return (
        f"What trivial facts of the files reach: AUROC {number(over.value)} [{interval(over.low, over.high)}], the mean"
        f" over {of} test generators; most on {name}, {number(value)}."
    )


def _known(baselines: Mapping[str, Baseline], tests: Sequence[str]) -> list[tuple[str, Estimate]]:
    found = ((name, baselines[name].estimate) for name in tests if name in baselines)
    return [(name, estimate) for name, estimate in found if estimate is not None]


def warnings(findings: Findings, flagged: Sequence[Baseline]) -> list[str]:
    """What makes results on these data doubtful, the worst first."""
    shortcuts = map(_flag_words, flagged) if len(flagged) <= _EACH else [_flags_words(findings, flagged)]
    return [*_polarity_words(findings), *_leak_words(findings), *shortcuts, *_copies_words(findings)]


def notes(findings: Findings, flagged: Sequence[Baseline]) -> list[str]:
    """What is good to know."""
    return list(_notes(findings, flagged))


def _polarity_words(findings: Findings) -> Iterator[str]:
    found = findings.polarity
    wrong = [each for each in found.generators if each.inverted]
    if found.inverted:
        yield (
            f"The labels look inverted. Of {found.told} images whose folders say real or fake, {found.against} are"
            f" labelled the other way, such as {_example(wrong[0].examples)}, declared {_class(wrong[0].label)}."
            " Label 1 is fake."
        )
    elif wrong:
        names = ", ".join(
            f"{each.generator} (declared {_class(each.label)}: {_example(each.examples)})" for each in wrong
        )
        yield f"The folders of these say the other class than their labels: {names}."


def _leak_words(findings: Findings) -> Iterator[str]:
    """Of a folder: what its own parts share; of a study, which has said that it is dropped, see the notes."""
    if findings.overlap and not findings.preprocessed:
        yield (
            f"The folder's own parts share images: {_overlap_words(findings)}. A study of it is refused unless it says"
            " `overlap: drop`."
        )


def _overlap_words(findings: Findings) -> str:
    if findings.overlap == 1:
        return "1 shows what an image of another split shows, and is left out"
    return f"{findings.overlap} show what images of other splits show, and are left out"


def _flag_words(baseline: Baseline) -> str:
    name, ends = baseline.shortcut.generator, f" [{baseline.ends}]" if baseline.ends else ""
    by = f" ({'; '.join(lead.words for lead in baseline.leads)})" if baseline.leads else ""
    doubt = " Its interval holds 0.5: it may be chance." if baseline.may_be_chance else ""
    return (
        f"Trivial facts alone tell {name} from its real images with an AUROC of {baseline.text}{ends}{by}."
        f" A detector's figures on {name} may be no more than that.{doubt}"
    )


def _flags_words(findings: Findings, flagged: Sequence[Baseline]) -> str:
    names = ", ".join(f"{baseline.shortcut.generator} {baseline.text}" for baseline in flagged)
    return (
        f"Trivial facts alone tell {len(flagged)} of {len(findings.shortcuts)} generators from their real images, by"
        f" AUROC: {names}. Detectors' figures on these may be no more than that."
    )


def _copies_words(findings: Findings) -> Iterator[str]:
    if count := findings.copies.across:
        files = "1 file shows" if count == 1 else f"{count} files show"
        yield f"{files} what a file of another class, generator or split shows, exactly or nearly."


def _notes(findings: Findings, flagged: Sequence[Baseline]) -> Iterator[str]:
    seen = "as the study's `preprocess` makes them" if findings.preprocessed else "as they are stored"
    yield f"{findings.images} usable images; shortcut baselines are of the images {seen}."
    if findings.dropped:
        names = ", ".join(CALLED.get(name, name) for name in findings.dropped)
        yield f"The preprocessing makes these equal, so they do not count: {names}."
    if flagged and (remedy := _remedy(findings)):
        yield remedy
    fakes, reals = (sum(each.images for each in findings.classes if each.label == label) for label in (1, 0))
    if fakes + reals and not 0.4 <= fakes / (fakes + reals) <= 0.6:
        yield f"{percent(fakes / (fakes + reals))} of all images are fake."
    if findings.overlap and findings.preprocessed:
        yield f"Of the images of fixed splits, {_overlap_words(findings)}."
    copies = findings.copies
    if copies.equal or copies.near:
        yield f"Files with the pixels of an earlier one: {copies.equal}. Files that have a near copy: {copies.near}."
    yield from _group_words(findings)


def _group_words(findings: Findings) -> Iterator[str]:
    """Groups that are too large for shares of splits to mean much."""
    for each in findings.classes:
        if each.images >= FEWEST and each.largest_group > LARGE * each.images:
            yield (
                f"{each.largest_group} of the {each.images} images of {each.generator} are one group (of one scene,"
                " prompt or person, or copies of each other) and stay in one split, so its splits may be far from their"
                " shares."
            )


def _remedy(findings: Findings) -> str:
    """What of the preprocessing would make more facts equal."""
    steps = []
    if "format" in findings.counted:
        # At another quality than they have, images that were compressed before differ from those that were not.
        jpegs = [each for each in findings.classes if each.shares["format"].get("JPEG", 0) > 0.5]
        qualities = [each.quartiles["quality"][1] for each in jpegs if "quality" in each.quartiles]
        codec = f"jpeg{round(min(qualities))}" if qualities else "jpeg96"
        steps.append(f"`reencode: {codec}` gives both classes one file format and one last compression")
    if any(name in findings.counted for name in SIZE):
        steps.append("`fit: crop` keeps the size from the detectors")
    return f"In a study's `preprocess`, {' and '.join(steps)}." if steps else ""


def _class(label: int) -> str:
    return "fake" if label else "real"


def _example(paths: Sequence[str]) -> str:
    return paths[0] if paths else MISSING
