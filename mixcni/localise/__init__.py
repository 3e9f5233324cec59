"""Stage 6, conversations -> fates: where each request and response was last seen, and what the network lost on which hop.

Nothing is blamed silently: what was not watched, or may have been missed by a capture, is undecided, and says which capture
would decide.
"""

from mixcni.localise.localisation import Localisation, Verdict, localise_losses
from mixcni.localise.proxied import ProxiedTable, link_proxied

__all__ = ["Localisation", "ProxiedTable", "Verdict", "link_proxied", "localise_losses"]
