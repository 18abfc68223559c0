"""The parts of `bench/bias.py`: material, baselines, metrics, tables."""
