"""Running builds: the worker and its leases, workspaces, logs, isolation and process trees; not what decides to build."""
