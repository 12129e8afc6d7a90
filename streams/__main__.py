"""`python -m streams` is `takk`."""

from streams.tools.cli.main import main

if __name__ == "__main__":
    main()
