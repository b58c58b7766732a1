"""Request bodies, as the APIs of providers take them."""
