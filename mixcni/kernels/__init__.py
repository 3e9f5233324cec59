"""Loops over bare arrays that several stages share: compiling, byte order, sequence space, hash tables.

Nothing here knows of tables, files or pandas. The caller checks lengths and allocates; a kernel then cannot fail.
"""
