"""Errors, files, locks and plug-ins: what all packages share."""
