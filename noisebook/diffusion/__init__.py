"""The diffusion model as mathematics: schedule, plan, the one loop, and the contract of a model.

Schedule --kl_matched_timesteps(Curve)--> timesteps --coded_plan + tail_plan--> Plan
x_T --reverse(denoise, Plan, noise_for)--> x_0
"""
