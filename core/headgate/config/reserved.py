"""Names of environment variables that a job must not set, because programs or Headgate itself obey them."""

from __future__ import annotations

OURS = frozenset({
    "BRANCH_NAME", "BUILD_ID", "BUILD_NUMBER", "BUILD_TRIGGER", "BUILD_URL", "CHANGE_AUTHOR", "CHANGE_FORK",
    "CHANGE_ID", "CHANGE_TARGET", "CI", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME", "GIT_BRANCH", "GIT_COMMIT",
    "GIT_COMMIT_MESSAGE", "GIT_LOCAL_BRANCH", "GIT_PREVIOUS_COMMIT", "GIT_PREVIOUS_SUCCESSFUL_COMMIT",
    "GIT_REPOSITORY_URL", "GIT_URL", "HEADGATE", "JOB_NAME", "TAG_NAME", "TMPDIR", "WORKSPACE",
})  # fmt: skip
"""What a build gets from Headgate, whatever its job says; a test compares it with what `builds.environment` makes."""

EXACT = OURS | frozenset({
    # What shells obey.
    "BASHOPTS", "CDPATH", "ENV", "GLOBIGNORE", "HOME", "IFS", "LOGNAME", "PATH", "PROMPT_COMMAND", "PS4", "SHELL",
    "SHELLOPTS", "USER", "ZDOTDIR",
    # What libraries and interpreters load code or settings from.
    "CLASSPATH", "DOTNET_STARTUP_HOOKS", "ERL_FLAGS", "GCC_EXEC_PREFIX", "GCONV_PATH", "GLIBC_TUNABLES",
    "GNUMAKEFLAGS", "GRADLE_OPTS", "GTK_MODULES", "LESSCLOSE", "LESSOPEN", "LUA_INIT", "MAKEFILES", "MAKEFLAGS",
    "MAVEN_OPTS", "MFLAGS", "PHPRC", "PHP_INI_SCAN_DIR", "RUSTC_WRAPPER", "TAR_OPTIONS", "HOSTALIASES", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LOCPATH",
    "NLSPATH", "NODE_OPTIONS", "NODE_PATH", "PAGER", "EDITOR", "VISUAL", "TERMINFO", "TERMINFO_DIRS", "_JAVA_OPTIONS",
    # Where traffic goes and whom it trusts.
    "ALL_PROXY", "CURL_CA_BUNDLE", "CURL_HOME", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "LOCALDOMAIN", "NO_PROXY",
    "REQUESTS_CA_BUNDLE", "RESOLV_HOST_CONF", "RES_OPTIONS", "SSLKEYLOGFILE", "SSL_CERT_DIR", "SSL_CERT_FILE",
})  # fmt: skip

PREFIXES = (
    "BASH_",
    "DYLD_",
    "GIT_",
    "HEADGATE_",
    "LD_",
    "MALLOC_",
    "OPENSSL_",
    "PERL",
    "PYTHON",
    "RUBY",
    "SSH_",
    "XDG_",
)


def is_ours(name: str) -> bool:
    """Whether a variable `name` has Headgate's value in a build, so that a job would set it in vain."""
    return name in OURS or name.startswith("HEADGATE_")


def is_reserved(name: str) -> bool:
    """Whether a parameter or credential must not be called `name`."""
    return name in EXACT or name.startswith(PREFIXES)
