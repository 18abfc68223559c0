"""Devices: what there is, what it holds, and what a worker must be told of it at its start."""
