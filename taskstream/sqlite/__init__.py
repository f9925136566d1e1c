"""Tasks in one file, so that they outlive the process."""
