"""Make the README's picture of the demo's policy: the last frame of a film of six episodes.

genesis-gym play runs/demo --envs 6 --seed 1000020 --out runs/demo.mp4
python docs/pictures.py runs/demo.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

import imageio.v3 as iio
from PIL import Image

*_, last = iio.imiter(sys.argv[1], plugin="pyav")
Image.fromarray(last).resize((1089, 576)).quantize(128).save(Path(__file__).parent / "images" / "reach.png")
