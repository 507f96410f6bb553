"""All other responses, by Laplace's approximation and quadrature: densities of rows, and programs of estimates."""
