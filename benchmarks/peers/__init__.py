"""One small program a peer; each runs in the peers' interpreter and answers on its standard output."""
