"""The tests, folder by folder as mixcni/ is laid out."""
