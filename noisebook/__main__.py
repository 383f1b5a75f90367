"""`python -m noisebook` is the command `noisebook`."""

from noisebook.cli import main

if __name__ == "__main__":
    main()
