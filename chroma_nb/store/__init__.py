"""Where collections live: the protocol the notebook face sees, and the store on this machine."""
