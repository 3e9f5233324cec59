"""`python -m mixcni` is the command `mixcni`."""

from mixcni.cli import main

if __name__ == "__main__":
    main(prog_name="mixcni")
