"""Comparisons: the same sounds through many methods, judged alike, so that others can trust the result.

    files -> Input (48 kHz) --Method.run--> Coded --judge--> row --ranking--> results.json, tables, figures, page

methods     what a method is, and how methods are chosen by name
catalogue   all of them, as one table, and what those of noisebook and the controls do
programs    Opus, MP3, Codec2 and Speex: executables of the machine
neural      EnCodec, DAC and SNAC, where their packages and weights are on the machine
inputs      the sounds that are compared
judging     delay of a codec, metrics, verdict
runs        from what is asked for to rows: the loop over inputs and methods, and what has been done already
publishing  means with intervals, results.json, figures, tables, pages
"""
