"""Exchanges: handshakes and turns of request and response."""
