"""Speed of hier beside its peers, measured on one model file."""
