"""Render results: seven formats in one registry, and the pieces that all documents' renderings share."""
