"""`python -m longscribe` is the command `longscribe`."""

from longscribe.cli.main import main

if __name__ == "__main__":
    main()
