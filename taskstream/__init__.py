"""Real-time progress of long-running tasks over Server-Sent Events."""
