"""Corpora: a tree of files through one verb, with a manifest that says what became of each of them.

    SRC/a/b.wav --read, digest--> Worker --verb of the facade--> DST/a/b.ddcm, one line of DST/manifest.jsonl

places      a folder, local or behind a URL that fsspec knows; files appear in it whole or not at all
naming      which files are taken, and what the results are called
manifest    what has been done: one line a result, kept over interruptions
verbs       what compress, decompress, reconstruct and verify do with the bytes of a file
together    several sounds through one call of the denoiser
worker      a model, and the files that pass through it
crews       where workers run: in this process, in processes, on a Ray cluster
planning    what is to do, what is done, what is refused
estimating  time and size beforehand, from one short trial
runs        the loop over a corpus
throughput  seconds of sound a second
"""
