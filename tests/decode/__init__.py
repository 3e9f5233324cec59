"""Decoding: frames to packet columns."""
