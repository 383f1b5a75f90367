"""Corpora: a tree of files through one verb, with a manifest that says what became of each of them.

    SRC/a/b.wav --read, digest--> Worker --verb of the facade--> DST/a/b.ddcm, one line of DST/manifest.jsonl

storage     a folder, local or behind a URL that fsspec knows; files appear in it whole or not at all
manifest    what has been done: one line a result, kept over interruptions
verbs       what compress, decompress, reconstruct and verify do with the bytes of a file
planning    a batch: which files are taken, what is to do, what is done, what is refused
worker      a model, and the files that pass through it, also several through one call of the denoiser
executors   where workers run: in this process, in processes of their own, on a Ray cluster
runs        time and size beforehand, from one short trial; then the loop over the corpus
"""
