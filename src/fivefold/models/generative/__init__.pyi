# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.generative.gan import GAN as GAN
from fivefold.models.generative.wgan import WGANGP as WGANGP
