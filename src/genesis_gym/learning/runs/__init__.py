"""Run folders: their files, and logs."""
