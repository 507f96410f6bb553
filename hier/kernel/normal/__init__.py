"""Normal responses, exactly: the marginal density, its expansion, and the programs of its estimates."""
