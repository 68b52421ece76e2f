"""Tests of `cosyrt/batch/`."""
