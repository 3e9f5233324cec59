"""The command line: one module a command, each of which parses, calls one function and prints.

Results go to stdout, talk and progress to stderr; an error is one line. A command's module is imported when it is called.
"""

from mixcni.cli.group import main

__all__ = ["main"]
