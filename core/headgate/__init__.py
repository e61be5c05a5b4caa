"""Headgate turns each change on a Git host into exactly one explained, queued, executed, reported build.

Nothing is imported here: a plugin imports `headgate.api`, the command line imports `headgate.cli`.
"""
