"""Sound as arrays: files in and out, sample rate, level, channels, and the mel spectrogram the networks see.

    file, stdin --io.read--> Waveform [C, N] --resample--> apply_gain(gain) --> log_mel
                                |   ^
    file, stdout <--io.write----'   '--resample-- apply_gain(-gain) <-- spread <-- a vocoder

Every function takes and returns numpy arrays (or a `Waveform` of them); only `mel` works on torch tensors.
"""
