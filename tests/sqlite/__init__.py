"""Tests of tasks in one file: restarts, crashes, files that can't be used."""
