"""`longscribe models`: what models there are, fetching one, where it is, converting one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from longscribe import wiring
from longscribe.adapters.recognizers.catalog import CATALOG, EngineKind
from longscribe.adapters.recognizers.converting import (
    QUANTIZATIONS,
    SOURCE,
    Conversion,
    check_target,
    convert,
    default_name,
)
from longscribe.adapters.recognizers.inventory import LOCAL, ModelEntry, by_model, inventory
from longscribe.adapters.recognizers.models import ModelState
from longscribe.cli.doctoring import gigabytes, plain_model
from longscribe.cli.terminal import print_plain, results, shown
from longscribe.config import Options
from longscribe.core.choosing import AUTO
from longscribe.errors import ModelError, UsageError

models_app = typer.Typer(
    help="List, fetch, find and convert models.", no_args_is_help=True, rich_markup_mode="rich"
)

Recognizer = Annotated[
    str | None,
    typer.Option(
        "--recognizer", help="Whose model. [dim]\\[default: what auto would choose][/dim]"
    ),
]
Name = Annotated[
    str, typer.Argument(help="Name such as large-v3-turbo, hub repository or local path.")
]


@models_app.command("list")
def list_models(
    recognizer: Annotated[
        str | None, typer.Option(help="Only its models. [dim]\\[default: all][/dim]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """List the models that have names, and those that are on this machine."""
    entries = inventory(None if recognizer is None else _kind(recognizer).name)
    if as_json:
        print_plain(json.dumps([plain_model(entry) for entry in entries], indent=1))
        return
    table = Table("model", "recognizer", "size", "where")
    for entry, readers in by_model(entries):
        size = gigabytes(entry.size) if entry.size else ""
        table.add_row(shown(entry.name), readers, size, shown(_where(entry)))
    results().print(table)


@models_app.command("fetch")
def fetch_model(
    model: Name,
    recognizer: Recognizer = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to put it into. [dim]\\[default: the hub's cache][/dim]"),
    ] = None,
) -> None:
    """Fetch a model, or go on with a fetch that broke off; print where it is."""
    kind = _kind(recognizer, model)
    # With --to a folder of the model's name may be what an earlier fetch left: it is not looked at.
    there = kind.shelf.look(model) if to is None else None
    whole = there is not None and there.state is ModelState.WHOLE
    print_plain(there.path if there and whole else kind.shelf.fetch(model, to))


@models_app.command("path")
def model_path(model: Name, recognizer: Recognizer = None) -> None:
    """Print where a model is on this machine. Asks no network; status 1 if it is not here."""
    kind = _kind(recognizer, model)
    there = kind.shelf.look(model)
    if there.state is ModelState.WHOLE:
        print_plain(there.path)
        return
    lacks = f": it lacks {', '.join(there.missing)}" if there.missing else ""
    part = f"Only a part of the model {model!r} is" if lacks else f"The model {model!r} is not"
    raise ModelError(
        f"{part} on this machine{lacks}.",
        f"Run: longscribe models fetch {model} --recognizer {kind.name}.",
    )


@models_app.command("convert")
def convert_model(
    model: Annotated[
        str,
        typer.Argument(
            help="Model in the hub's format: a local directory, a repository or a name."
        ),
    ],
    recognizer: Annotated[
        str, typer.Option("--recognizer", help="For which: faster-whisper, mlx or whisper.cpp.")
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="What to write. [dim]\\[default: in the folder models][/dim]"),
    ] = None,
    compute_type: Annotated[
        str | None,
        typer.Option(
            help="Number format of its weights, for faster-whisper only. "
            f"[dim]\\[default: {QUANTIZATIONS[0]}][/dim]"
        ),
    ] = None,
) -> None:
    """Convert a model from the hub's format (that of transformers) to another engine's."""
    check_target(recognizer)
    if compute_type is not None and recognizer != "faster-whisper":
        raise UsageError(
            f"--compute-type is not for {recognizer!r}: its models are written in float16.",
            "Leave it out.",
        )
    if compute_type is not None and compute_type not in QUANTIZATIONS:
        raise UsageError(
            f"There is no compute type {compute_type!r}.", f"Known: {', '.join(QUANTIZATIONS)}."
        )
    source = CATALOG[SOURCE].shelf
    there = source.look(model)
    path = there.path if there.state is ModelState.WHOLE else None
    path = path or source.fetch(model, None)
    out = to or LOCAL / default_name(recognizer, model)
    order = Conversion(source=path, out=out, quantization=compute_type or QUANTIZATIONS[0])
    convert(recognizer, order)
    print_plain(out)


def _kind(recognizer: str | None, model: str | None = None) -> EngineKind:
    """Return the recognizer that is meant: the one named, or what `auto` would choose.

    Raises:
        UsageError: it is unknown, or finds its models itself.
        RecognizerError: `auto` finds none.
    """
    name = recognizer or Options.build().recognizer
    if name == AUTO:
        name = wiring.chosen_recognizer(Options.build(model=model), None).recognizer
    if name not in CATALOG:
        wiring.recognizer(name)
        raise UsageError(
            f"The recognizer {name!r} finds its models itself.",
            f"Those of {', '.join(CATALOG)} can be looked after here.",
        )
    return CATALOG[name]


def _where(entry: ModelEntry) -> str:
    if entry.state is ModelState.PARTIAL:
        return f"a part: lacks {', '.join(entry.missing)}; to be fetched from {entry.origin}"
    if entry.state is ModelState.WHOLE:
        return f"here: {entry.path}"
    return f"to be fetched from {entry.origin}"
