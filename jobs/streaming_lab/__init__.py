"""The three exercises of the streaming lab: one module for each exercise, one entry point for each task."""
