"""`python -m heliotrope` is `helio`."""

from heliotrope.cli import main

if __name__ == "__main__":
    main()
