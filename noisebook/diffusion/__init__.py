"""The diffusion model: schedule, plan and loop, denoisers, samplers, and what a model has to offer."""
