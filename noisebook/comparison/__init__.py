"""Comparisons: the same sounds through many methods, judged alike, so that others can trust the result.

    files -> Input (48 kHz) --Method.run--> Coded --judge--> row --ranking--> results.json, tables, figures, page

methods     what a method is, and how methods are chosen by name
systems     ceilings, presets, codebooks, DDCM and transformations of noisebook
programs    Opus, MP3, Codec2 and Speex: executables of the machine
neural      EnCodec, DAC and SNAC, where their packages and weights are on the machine
controls    sounds that no method may lose against
catalogue   all of them, as one table
inputs      the sounds that are compared
judging     place in time, metrics, verdict
store       what has been done already, in the folder of the comparison
planning    from what is asked for to a run
runs        the loop over inputs and methods
ranking     means with intervals
publishing  results.json, figures, tables, pages
"""
