"""Denoising Diffusion Codebook Models: choosing noise instead of drawing it (Ohayon et al., ICML 2025).

residual [C, 8, L, 16] --Partition.split--> parts [P, d] --Codebook.correlate--> [P, K] --choose--> choice [P]
                                                                                                      |
noise    [C, 8, L, 16] <--Partition.join--- parts [P, d] <-Codebook.synthesize------------------------'
"""
