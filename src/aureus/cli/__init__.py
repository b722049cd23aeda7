"""The command line: one module for each group of commands, imported only when one of them is called.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed, 2 wrong usage or input, 3 waits for a
person, 4 not allowed, 5 integrity broken, 6 not found or conflict, 130 and 143 stopped by a signal.
"""
