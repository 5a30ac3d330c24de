"""Training of the codec: data, objective, optimizer, loop. Nothing here is needed to run it."""
