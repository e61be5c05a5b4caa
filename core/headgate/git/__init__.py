"""Git, hardened: every process, every URL and every ref passes here; not what is built from it.

`names` (what may be asked for) → `access` (credentials, beside the URL) → `command` (the one runner, `failures` in our
words) → `refs` and `packets` (what a remote has) → `mirrors` (one bare copy a repository) → `workspaces`, `repository`
and `submodules` (a build's own checkout) → `history` (what changed) · `version` (what is installed).
"""
