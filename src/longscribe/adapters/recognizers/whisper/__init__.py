"""What recognizers share that run Whisper's network step by step (`mlx`, `transformers`).

An engine encodes audio and says which token is how likely; prompts, search,
word times and results are made here, once, so that both write the same.
"""
