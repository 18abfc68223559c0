"""How the command ends: with one clear line and a status, whatever was raised on the way."""

from __future__ import annotations

import typer
from typer import rich_utils

from longscribe.adapters.executors.starting import scarcity
from longscribe.cli.batch import EXIT_INTERRUPTED
from longscribe.cli.terminal import (
    ReaderLeftError,
    cannot_print,
    drop_results,
    flush_results,
    messages,
    shown,
)
from longscribe.core.visible import visible
from longscribe.errors import LongscribeError, StorageError, UsageError

EXIT_READER_LEFT = 141
"""As a shell has it for a program that SIGPIPE ended: 128 + 13."""


def run(app: typer.Typer) -> int:
    """Do what the arguments say; return the exit status."""
    try:
        status = app(standalone_mode=False)
        flush_results()
    except ReaderLeftError:
        drop_results()
        return EXIT_READER_LEFT
    except LongscribeError as error:
        return _say(error)
    except OSError as error:
        return _say(_system_error(error))
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        if (scarce := scarcity(error)) is not None:
            return _say(scarce)
        if (status := _wrong_arguments(error)) is None:
            raise
    return status or 0


def _say(error: LongscribeError) -> int:
    messages(soft_wrap=True).print(f"[red]error:[/red] {shown(error)}")
    return error.exit_status


def _system_error(error: OSError) -> LongscribeError:
    """Return what to say of an error of the system that nothing below has explained."""
    if (scarce := scarcity(error)) is not None:
        return scarce
    if error.filename is None and error.errno is not None:
        drop_results()
        return cannot_print(error)
    where = f" ({error.filename})" if error.filename else ""
    return StorageError(f"The system says: {error.strerror or error}{where}.")


def _wrong_arguments(error: Exception) -> int | None:
    """Say what is wrong with the arguments, as Typer would; None if that is not the error."""
    # Typer's class of errors has changed its home; what it can do has not.
    if not (hasattr(error, "format_message") and hasattr(error, "message")):
        return None
    error.message = visible(str(error.message))
    rich_utils.rich_format_error(error)  # type: ignore[arg-type]
    return int(getattr(error, "exit_code", UsageError.exit_status))
