"""Quantisers of clean latents: codebooks fitted to sound, and the codes they make (vector quantisation).

    latents --fitting.fit--> LatentCodebook --save--> .safetensors --codebook.load--> LatentCodebook

    latent [B, C, L, F'] --encode--> codes, one int64 [B, positions] for each of stages() --decode--> latent

How a stream holds the codes: for each stage in order, `present(codes of the stages before)` says which of its
positions are written (None: all); the others are 0. `Stage.counts` is the model for an entropy coder. Decoding needs
the codes, the number of frames and the same codebook (`fingerprint`), no floats.

`codebook.quantise` (hard, or soft with float weights) and `codebook.hybrid` are for analysis and transformation.
`config` and `files` load no torch.
"""
