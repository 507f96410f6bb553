"""The numbers: all that is computed of a model, in arrays, by programs that know nothing of tables."""
