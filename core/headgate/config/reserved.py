"""Names of environment variables that a job must not set, because programs or Headgate itself obey them."""

from __future__ import annotations

EXACT = frozenset({
    # What a build always has.
    "BRANCH_NAME", "BUILD_ID", "BUILD_NUMBER", "BUILD_TRIGGER", "BUILD_URL", "CHANGE_AUTHOR", "CHANGE_FORK",
    "CHANGE_ID", "CHANGE_TARGET", "CI", "JOB_NAME", "TAG_NAME", "WORKSPACE",
    # What shells obey.
    "BASHOPTS", "CDPATH", "ENV", "GLOBIGNORE", "HOME", "IFS", "LOGNAME", "PATH", "PROMPT_COMMAND", "PS4", "SHELL",
    "SHELLOPTS", "TMPDIR", "USER", "ZDOTDIR",
    # What libraries and interpreters load code or settings from.
    "CLASSPATH", "GCONV_PATH", "GLIBC_TUNABLES", "HOSTALIASES", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LOCPATH",
    "NLSPATH", "NODE_OPTIONS", "NODE_PATH", "PAGER", "EDITOR", "VISUAL", "TERMINFO", "TERMINFO_DIRS", "_JAVA_OPTIONS",
    # Where traffic goes and whom it trusts.
    "ALL_PROXY", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
    "SSL_CERT_FILE",
})  # fmt: skip

PREFIXES = ("BASH_", "DYLD_", "GIT_", "HEADGATE_", "LD_", "MALLOC_", "PERL", "PYTHON", "RUBY", "SSH_", "XDG_")


def is_reserved(name: str) -> bool:
    """Whether a parameter or credential must not be called `name`."""
    return name in EXACT or name.startswith(PREFIXES)
