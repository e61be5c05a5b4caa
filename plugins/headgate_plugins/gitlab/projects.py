"""Which repository a project of a payload is; not how jobs may spell it, which is in `names.py`."""

from __future__ import annotations

from headgate import api
from headgate_plugins.gitlab import shapes
from headgate_plugins.gitlab.names import normalise, spelled

DEFAULT_HOST = "gitlab.com"


def repository_of(project: shapes.Project) -> api.Repository:
    """By its path, else by its URLs. Raises `ValueError` when neither names a project."""
    web = project.web_url or project.homepage or project.git_http_url or project.http_url
    path = spelled(project.path_with_namespace or web or "")
    normalise(path)
    return api.Repository(host=api.host_of(web) if web else DEFAULT_HOST, path=path)
