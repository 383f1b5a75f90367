"""Sound as arrays: files in and out, sample rate, level, channels, and the front ends of models."""
