"""Flows, runs and jobs: from a stage's code to jobs, and what follows when a job is over."""
