"""Corpora: a tree of files through one verb, with a manifest that says what became of each of them.

    SRC/a/b.wav --read, digest--> Worker --verb of the facade--> DST/a/b.ddcm, one line of DST/manifest.jsonl

storage     a folder, local or behind a URL that fsspec knows; files appear in it whole or not at all
manifest    what has been done: one line a result, kept over interruptions
verbs       what compress, decompress, reconstruct and verify do with the bytes of a file
batching    several sounds through one call of the denoiser
worker      a model, and the files that pass through it
executors   where workers run: in this process, in processes of their own, on a Ray cluster
planning    which files are taken, what is to do, what is done, what is refused
runs        the loop over a corpus
timing      time and size beforehand, from one short trial; seconds of sound a second
"""
