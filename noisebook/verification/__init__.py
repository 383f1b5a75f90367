"""Verification: is a sound related to another one, and how would something unrelated have scored?

    reference, estimate -> similarity   one number for two sounds: do their log-mels move alike?
    bundled clips       -> controls     what to score beside the estimate: another clip, a shuffle, pink noise, silence
    score, controls     -> verdict      "related" only above the controls, with a p-value
    two folders         -> sets         how far distributions are apart
    a sound             -> listening    what it is like: music, speech or effects, tonal, with onsets, ...
                           rules        which method and preset suit it, and why

They judge sound, whoever made it, so they know no codec and no model; `noisebook.api` brings those in.
"""
