"""Lessons and applications, one idea each: see README.md beside this file."""
