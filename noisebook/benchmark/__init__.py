"""How fast a model codes here, by stage, duration and bitrate, against the published codecs; and whether all works.

runs        all measurements of a model, and the limits that they have to keep
timing      one sound, one way to code it: seconds of every stage, both ways, and peak memory
baselines   DDCM and Turbo-DDCM as published, at the bitrate of a preset
doctor      which models and libraries there are on this machine, and whether a round trip works
"""
