"""The neural engine: SDXL and Stable Diffusion pipelines, painted in a loop of their own.

Only this room imports torch, diffusers, transformers and safetensors, and nothing outside it may
import it before it is known that they are installed. This file imports none of them.
"""

import os


# Read when transformers is imported: it notes that torchvision is missing, which nothing here needs.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
