"""Tests of the core: tasks, logs, the registry, threads."""
