"""The recipe of the demo model: a small Whisper-architecture recognizer of synthetic voices.

Each step is one command, run from the root of the repository:

    python -m tools.demo_model.synthesize   speech shards from free synthesizers, on CPU cores
    torchrun -m tools.demo_model.train      training on those shards, on a wall-clock budget
    python -m tools.demo_model.export       the weights in the formats that recognizers read

`README.md` beside this file tells the whole story.
"""
