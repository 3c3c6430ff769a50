"""The command line: verbs only. What a verb needs is imported when it runs, so that ``--help`` is instant."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trainables.errors import InputError


class Verbs(TyperGroup):
    """Turns what a user can mend into a message and exit code 2; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            from orchestrator.run.stop import Terminated

            again = ": what is done is kept, and the same command takes up the rest"
            typer.echo(f"interrupted{again if ctx.invoked_subcommand == 'run' else ''}", err=True)
            raise typer.Exit(143 if isinstance(stop, Terminated) else 130) from None


class Executor(StrEnum):
    ray = "ray"
    serial = "serial"


class Room(StrEnum):
    detectors = "detectors"
    adaptations = "adaptations"
    attacks = "attacks"
    corruptions = "corruptions"
    analyses = "analyses"
    generators = "generators"
    selections = "selections"
    layouts = "layouts"
    spaces = "spaces"


StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's YAML file.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Cells by name, as in `plan --json`, with * and ?; and what they need."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]

_STYLE: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "add_completion": False}
app = typer.Typer(cls=Verbs, pretty_exceptions_enable=False, **_STYLE)
data = typer.Typer(help="Make, index and show folders of images.", **_STYLE)
app.add_typer(data, name="data")


@app.callback()
def orchestrator() -> None:
    """Experiments on detectors of AI-generated images: train generator x test generator x adaptation.

    A study is one YAML file. In the order in which you need them:

    \b
      orchestrator check  studies/demo.yaml     is it valid, are its images there?
      orchestrator plan   studies/demo.yaml     what will run, and how long will it take?
      orchestrator run    studies/demo.yaml     run it, or what is left of it
      orchestrator report studies/demo.yaml     one HTML page with all results

    Exit codes: 0 all is well, 1 some cells failed, 2 something you can mend, 130 or 143 interrupted.
    """


@app.command()
def check(study: StudyFile) -> None:
    """Is the study valid, and are its images there?

    Lists every mistake with its line, the value found and a fix. Writes no result. Next: `orchestrator plan`.
    """
    from orchestrator.campaign import Campaign
    from orchestrator.show import counting

    campaign = Campaign.open(study)
    with counting("reading images") as progress:
        campaign.images.read_with(progress=progress)
        report = campaign.check()
    for line in report.lines:
        typer.echo(line)


@app.command()
def plan(study: StudyFile, only: Only = None, json: AsJson = False) -> None:
    """What will run, what is done, how much work is left.

    \b
    Examples:
      orchestrator plan studies/demo.yaml
      orchestrator plan studies/demo.yaml --only 'adapt/*dann*'     the names of some cells
      orchestrator plan studies/demo.yaml --json | jq -r '.cells[].name'
    """
    from orchestrator import show
    from orchestrator.campaign import Campaign

    campaign = Campaign.open(study)
    with show.counting("reading images") as progress:
        campaign.images.read_with(progress=progress)
        chosen = campaign.plan(only or ())
    costs = campaign.estimate(chosen)
    if json:
        typer.echo(show.as_json(show.plan_values(chosen, campaign.ledger(), costs)))
        return
    if only:
        typer.echo(show.cells_text(chosen, campaign.ledger()) + "\n")
    typer.echo(show.plan_text(costs))
    typer.echo(show.outlook_text(costs, campaign.images.to_be_made is not None))


@app.command()
def run(
    study: StudyFile,
    only: Only = None,
    executor: Annotated[Executor, typer.Option(help="Ray, or one process for debugging.")] = Executor.ray,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; without it, this machine.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
) -> None:
    """Run the study, or what is left of it.

    Stop it at any time; the same command takes up where it stopped. Exits with 1 if a cell failed; the others are
    run all the same.

    \b
    Examples:
      orchestrator run studies/demo.yaml
      orchestrator run studies/demo.yaml --only 'train/*' --only '*/coral/*'
      orchestrator run studies/demo.yaml --retry-failed
      ray job submit --working-dir . -- python -m orchestrator run studies/demo.yaml
    """
    from orchestrator import show
    from orchestrator.campaign import Campaign
    from orchestrator.run.progress import view_for
    from orchestrator.run.stop import terminable

    campaign = Campaign.open(study)
    with terminable(), show.counting("making images") as on_images, show.counting("reading images") as on_reading:
        summary = campaign.run(
            only=only or (),
            executor=executor.value,
            address=address,
            retry_failed=retry_failed,
            listeners=[view_for(sys.stdout)],
            on_images=on_images,
            on_reading=on_reading,
        )
    typer.echo(show.summary_text(summary, study, campaign.report_page))
    raise typer.Exit(summary.exit_code)


@app.command()
def status(
    study: StudyFile,
    json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every 2 seconds, while a run is going on.")] = False,
) -> None:
    """What is done, running, failed and blocked, and why.

    Works while a run is going on in another terminal, and after a crash.
    """
    from orchestrator import show
    from orchestrator.campaign import Campaign

    campaign = Campaign.open(study)
    draw = (lambda report: show.as_json(show.status_values(report))) if json else show.status_text
    if not watch:
        typer.echo(draw(campaign.status()))
        return
    for picture in show.watched(campaign.status, draw):
        typer.echo(picture)


@app.command()
def report(
    study: StudyFile,
    replay_tracking: Annotated[
        bool, typer.Option("--replay-tracking", help="Also fill MLflow from the ledger, missing runs and all.")
    ] = False,
    show_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Build the report again from what is stored.

    Writes one HTML page, with the tables as CSV and Parquet beside it. No model is run; `run` does this at its end.
    """
    from orchestrator.campaign import Campaign

    paths = Campaign.open(study).report(replay_tracking=replay_tracking)
    typer.echo(paths.html)
    if show_it:
        typer.launch(paths.html.as_uri())


@app.command("list")
def list_members(
    room: Annotated[Room, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(help="One of them, to read all about it.")] = None,
    json: AsJson = False,
) -> None:
    """What a study can name, with each parameter's default.

    `selections` are the rules of a study's `selection`, `spaces` the members that can be tuned.

    \b
    Examples:
      orchestrator list detectors
      orchestrator list detectors npr         what it is, whose it is, and every parameter
      orchestrator list selections
      orchestrator list attacks --json
    """
    from orchestrator.members import member_text, members, members_text
    from orchestrator.show import as_json

    if json:
        typer.echo(as_json([member for member in members(room.value) if name in (None, member["name"])]))
    else:
        typer.echo(member_text(room.value, name) if name else members_text(room.value))


@app.command()
def predict(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Id or name of a trained cell, or a model's folder.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Images, or folders of them.")],
    study: Annotated[Path | None, typer.Option(help="The study whose storage holds the cell.")] = None,
    storage: Annotated[Path | None, typer.Option(help="The storage; ./results if neither is given.")] = None,
    json: AsJson = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated.")] = False,
) -> None:
    """P(fake) of images, by a trained or adapted detector.

    A file that is no usable image is listed with the reason, never guessed at.

    \b
    Examples:
      orchestrator predict 3f2a photos/
      orchestrator predict train/residual_cnn/tconv/seed0 a.jpg b.png --study studies/demo.yaml --csv
    """
    from orchestrator.predict import find_model, predict_paths, write

    if json and csv:
        raise InputError("one form at a time", value="--json --csv", fix="leave one out")
    predictions = predict_paths(find_model(cell, study, storage), paths)
    write(predictions, sys.stdout, "json" if json else "csv" if csv else "table")
    raise typer.Exit(0 if any(prediction.usable for prediction in predictions) else 2)


@app.command()
def ui(study: StudyFile, port: Annotated[int, typer.Option(help="On this machine only.")] = 5000) -> None:
    """The study's MLflow pages; Ctrl-C ends them.

    They are served on the loopback address: no other machine can see them.
    """
    from orchestrator.study.load import load_study
    from orchestrator.ui import browse

    address, serve = browse(load_study(study), port)
    typer.echo(f"MLflow: {address}")
    if serve:
        raise typer.Exit(serve())


@data.command("make")
def make(
    preset: Annotated[str, typer.Argument(help="smoke, demo, large, ranking or private.")],
    folder: Annotated[Path | None, typer.Argument(help="Absent or empty; data/PRESET if not given.")] = None,
) -> None:
    """Write the procedural benchmark as image files.

    They go to real/<camera>/ and fake/<generator>/, as anybody's images would. `orchestrator list generators` says what
    the generators are.
    """
    from orchestrator.show import counting
    from trainables.benchmark.make import make_benchmark

    with counting("making images") as progress:
        made = make_benchmark(folder or Path("data") / preset, preset, progress=progress)
    typer.echo(f"{made.images} images {'made' if made.made else 'were there already'}: {made.root}")


ImageFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of images, of any layout.")]
LayoutText = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="LAYOUT",
        help="A name from `orchestrator list layouts`, or what a study says under `layout:`; else it is recognised.",
    ),
]


@data.command("index")
def index_images(
    folder: ImageFolder,
    index: Annotated[Path | None, typer.Argument(help="A Parquet file; FOLDER.index.parquet if not given.")] = None,
    layout: LayoutText = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; without it, this machine.")] = None,
) -> None:
    """Read every image once and write down what was found.

    One row an image: class, generator, digests, size, format, JPEG quality, and why it cannot be used if it cannot.
    Stop it at any time: the next call reads only what is new, changed or not read yet. Studies keep their own indexes.

    \b
    Examples:
      orchestrator data index photos/
      orchestrator data index diffusiondb/ --layout '{kind: flat, generator: sd14}'
      orchestrator data index /shared/images --address auto       on all nodes of a cluster
    """
    from orchestrator.images import index_once
    from orchestrator.run.indexing import examine_where_it_pays
    from orchestrator.run.stop import terminable
    from orchestrator.show import counting, index_text

    file = index or folder.with_name(f"{folder.resolve().name}.index.parquet")
    with terminable(), counting("reading images") as progress:
        found = index_once(folder, layout, kept=file, examine=examine_where_it_pays(address), progress=progress)
    typer.echo(index_text(found))
    typer.echo(f"\n{file}")


@data.command("show")
def show_images(
    target: Annotated[Path, typer.Argument(metavar="FOLDER|STUDY", help="A folder of images, or a study's YAML file.")],
    layout: LayoutText = None,
) -> None:
    """What is in a folder, or what a study takes of its folders.

    Of a folder: images by generator as its layout has them; nothing is written. Of a study: images by generator and
    split, by the study's names. Then files that are no usable images or are left out, with the reason, and copies.

    \b
    Examples:
      orchestrator data show photos/
      orchestrator data show studies/demo.yaml
    """
    from orchestrator import show

    with show.counting("reading images") as progress:
        if target.is_dir():
            from orchestrator.images import index_once

            text = show.index_text(index_once(target, layout, progress=progress))
        else:
            from orchestrator.campaign import Campaign

            if layout:
                raise InputError("a study says itself which layouts it reads", where="--layout", fix="leave it out")
            images = Campaign.open(target).images
            images.read_with(progress=progress)
            text = show.images_text(images.manifest)
    typer.echo(text)


@data.command("audit")
def audit_images(
    target: Annotated[Path, typer.Argument(metavar="FOLDER|STUDY", help="A folder of images, or a study's YAML file.")],
    layout: LayoutText = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the page and its tables go.")] = None,
    json: AsJson = False,
) -> None:
    """What could mislead a detector: format, size, copies, labels.

    Of a folder: its images as they are stored; the page is FOLDER.audit.html. Of a study: its images as its
    `preprocess` makes them; the page lies with the study's results. Tables are beside it as CSV. Findings are no
    errors.

    \b
    Examples:
      orchestrator data audit photos/
      orchestrator data audit studies/demo.yaml --out audits/
    """
    from orchestrator.auditing import audit_folder, audit_study
    from orchestrator.show import as_json, audit_text, counting

    if layout and not target.is_dir():
        raise InputError("a study says itself which layouts it reads", where="--layout", fix="leave it out")
    with counting("reading images") as progress:
        folder = target.is_dir()
        made = audit_folder(target, layout, out, progress) if folder else audit_study(target, out, progress)
    if json:
        typer.echo(as_json({**made.findings.model_dump(mode="json"), "files": made.files}))
        return
    typer.echo(audit_text(made.part))
    typer.echo(f"\n{made.files[0]}")


def main() -> None:
    """The ``orchestrator`` command."""
    app()
