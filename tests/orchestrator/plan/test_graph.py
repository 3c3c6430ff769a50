from __future__ import annotations

from orchestrator.plan.cells import Stage
from orchestrator.plan.cost import costs, kind
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import pending, plan_of, select
from orchestrator.plan.jobs import jobs


def test_pending_is_the_plan_without_what_is_done(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    done = list(plan.cells)[:5]
    assert list(pending(plan, done).cells) == list(plan.cells)[5:]
    assert not len(pending(plan, plan.cells))


def test_selecting_takes_what_the_chosen_cells_need(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    chosen = select(plan, ["adapt/*/tconv/nearest/coral/*"])
    assert [cell.stage for cell in chosen] == [Stage.TRAIN, Stage.ADAPT]
    assert not len(select(plan, ["adapt/*dann*"]))
    assert select(plan, []) is plan


def test_the_audit_is_selected_by_its_name_and_needed_by_no_other_cell(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    assert [cell.stage for cell in select(plan, ["audit"])] == [Stage.AUDIT]
    assert Stage.AUDIT not in {cell.stage for cell in select(plan, ["*/*"])}
    assert len(select(plan, ["*/*"])) == len(plan) - 1


def test_descendants_are_all_that_cannot_run_without_a_cell(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    root = next(cell for cell in plan if cell.stage is Stage.TRAIN)
    expected = {cell.id for cell in plan if cell.tags.source == root.tags.source} - {root.id}
    assert set(plan.descendants(root.id)) == expected


def test_equal_cells_become_one(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    assert list(plan_of("twice", [*plan, *plan]).cells) == list(plan.cells)


def test_a_models_scores_ride_in_its_job(make_study, catalogue):
    plan = expand(make_study(attacks=["pgd"]), catalogue)
    found = jobs(plan)
    assert sorted(cell.id for job in found for cell in job.cells) == sorted(plan.cells)
    for job in found:
        first, *rest = job.cells
        if job.stage.makes_model:
            assert {cell.stage for cell in rest} == {Stage.SCORE}
            assert len(rest) == 3
        else:
            assert job.stage in (Stage.AUDIT, Stage.ATTACK)
            assert not rest
        assert job.needs == set(first.needs)  # nothing waits for the audit


def test_scores_of_a_finished_model_are_one_job(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    models = [cell.id for cell in plan if cell.stage.makes_model]
    audit, *left = jobs(pending(plan, models))
    assert [cell.name for cell in audit.cells] == ["audit"]
    assert len(left) == len(models)
    assert all(not job.needs and len(job.cells) == 3 for job in left)


def test_costs_are_medians_of_cells_of_one_kind(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    trained = next(cell for cell in plan if cell.stage is Stage.TRAIN)
    train = kind(trained)
    adapt = kind(next(cell for cell in plan if cell.method == "coral"))
    past = [(train, 8.0), (train, 10.0), (train, 99.0), (adapt, 3.0)]
    by_stage = {cost.stage: cost for cost in costs(plan, plan, past)}
    assert by_stage[Stage.TRAIN].seconds_left == 2 * 10.0
    assert by_stage[Stage.ADAPT].seconds_left == 8 * 3.0  # recalibrate was never seen: the stage's median
    assert by_stage[Stage.SCORE].seconds_left is None
    rest = {cost.stage: cost for cost in costs(plan, pending(plan, [trained.id]), past)}
    assert (rest[Stage.TRAIN].done, rest[Stage.TRAIN].seconds_left) == (1, 10.0)
