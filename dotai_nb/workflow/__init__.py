"""The work: what the model may call, the loop, the conclusion."""
