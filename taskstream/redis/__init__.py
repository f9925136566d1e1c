"""More than one machine: Celery workers run the tasks, Redis keeps their logs."""
