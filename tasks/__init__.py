"""The sessions, one file for each verb; a task imports only nox and the standard library."""
