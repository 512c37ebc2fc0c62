"""``python -m eventserver``: the command line."""

from eventserver.cli import main

if __name__ == "__main__":
    main(prog_name="eventserver")
