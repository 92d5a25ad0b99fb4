"""Room 6: a forge's pipeline on this machine: its file read into jobs and steps, what may run decided, and each step run."""
