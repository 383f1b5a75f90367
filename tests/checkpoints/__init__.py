"""Checkpoints of the AudioLDM family as diffusers lays them out: real classes, small widths, random weights."""
