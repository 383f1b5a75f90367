"""The engines of the papers, to measure the codec against on the same model. They write payloads and no streams.

    Published (what is chosen, and what it costs) --PublishedCoder--> bits, and back to the same noise

Beside the codec, which knows nothing of them; `bench` and `experiments.rate_limit` run them.
"""

from noisebook.rivals.coder import DenseCodebook, PublishedCoder
from noisebook.rivals.engines import CLASSIC_BITS, MAX_DENSE_VALUES, Published, Rival, rivals

__all__ = ["CLASSIC_BITS", "MAX_DENSE_VALUES", "DenseCodebook", "Published", "PublishedCoder", "Rival", "rivals"]
