"""Which methods go together, and how a composition is written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trainables.adaptation import compose, coral
from trainables.composing import Part, check_alone
from trainables.errors import InputError
from trainables.registry import ADAPTATIONS


def _composed(base: Any, *others: Any) -> compose.Config:
    return compose.Config.model_validate({"base": base, "with": list(others)})


def _refusal(base: Any, *others: Any) -> InputError:
    with pytest.raises(ValidationError) as caught:
        _composed(base, *others)
    error: InputError = caught.value.errors()[0]["ctx"]["error"]
    return error


@pytest.mark.parametrize(
    ("kinds", "where", "words", "fix"),
    [
        (("dann", "rada", "daln"), "with.1", "entropy of a domain discriminator, and daln has none", "leave daln out"),
        (("daln", "rada"), "base", "entropy of a domain discriminator", "leave daln out, and add `dann` or `cdan`"),
        (("coral", "rada"), "with.0", "there is none", "{kind: compose, base: dann, with: [coral, rada]}"),
        (("dann", "daln"), "with.0", "takes the place of the domain discriminator that dann brings", "dann or daln"),
        (("dann", "sdat", "cdan"), "with.1", "two methods bring a domain discriminator", "leave one of them out"),
        (("dann", "coral", "coral"), "with.1", "twice", "delete one"),
    ],
)
def test_methods_that_do_not_go_together_are_refused_with_the_reason(
    kinds: tuple[str, ...], where: str, words: str, fix: str
) -> None:
    error = _refusal(*kinds)
    assert error.where == where
    assert words in error.problem
    assert fix in str(error.fix)


def test_what_needs_a_discriminator_cannot_be_alone() -> None:
    with pytest.raises(InputError, match=r"with: \[rada\]"):
        check_alone("rada")
    for kind in set(ADAPTATIONS) - {"rada"}:
        check_alone(kind)


@pytest.mark.parametrize(
    ("part", "problem", "fix"),
    [
        ("corla", "cannot|not a method that can be composed", "'coral'"),
        ("source_only", "not a method that can be composed", "choose from"),
        ({"kind": "coral", "recipe": {"epochs": 1}}, "no recipe of its own", "beside `base` and `with`"),
        ({"weight": 1}, "no `kind`", "kind: coral"),
        (3, "a name, or a mapping", "kind: coral"),
    ],
)
def test_a_part_is_a_name_or_a_mapping(part: Any, problem: str, fix: str) -> None:
    error = _refusal("dann", part)
    assert any(words in error.problem for words in problem.split("|"))
    assert fix in str(error.fix)


def test_it_is_written_as_it_is_read() -> None:
    config = _composed({"kind": "cdan", "weight": 0.5}, "coral", {"kind": "sdat", "rho": 0.1})
    written = config.model_dump(mode="json")
    assert list(written) == ["base", "with", "recipe"]
    assert written["with"][1] == {"kind": "sdat", "rho": 0.1}
    assert "recipe" not in written["base"]
    assert compose.Config.model_validate(written) == config


def test_a_part_keeps_the_parameters_it_is_given() -> None:
    part = Part.model_validate({"kind": "coral", "weight": 5})
    assert part.config == coral.Config(weight=5)
    assert Part.model_validate("coral").config == coral.Config()


def test_its_title_names_all_methods_and_its_revision_counts_all_their_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = _composed("dann", "coral", "sdat")
    before = config.revision
    assert config.title == "dann-coral-sdat"
    assert _composed("dann").title is None
    from dataclasses import replace

    changed = {**ADAPTATIONS, "coral": replace(ADAPTATIONS["coral"], version=ADAPTATIONS["coral"].version + 1)}
    monkeypatch.setattr("trainables.registry.REGISTRIES", {"adaptations": changed})
    assert config.revision == before + 1
