"""`python -m streams` is `takk`."""

from streams.cli import main

if __name__ == "__main__":
    main()
